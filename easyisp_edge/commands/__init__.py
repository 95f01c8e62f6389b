"""The commands of `easyisp-edge`, a file each."""
