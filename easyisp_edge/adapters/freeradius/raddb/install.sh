#!/bin/sh
# Makes Debian's FreeRADIUS use this folder. Run as root; may be run again.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=@folder@

install -d -o root -g freerad -m 0750 "$folder"
(cd "$here" && find . -type d ! -name .) | while read -r part; do
	install -d -o root -g freerad -m 0750 "$folder/$part"
done
# A router that was taken out must not be known any longer.
rm -f "$folder"/secrets/*.conf
(cd "$here" && find . -type f) | while read -r file; do
	install -o root -g freerad -m 0640 "$here/$file" "$folder/$file"
done

@prepare@
# Checked as the user it runs as, to whom the files it makes have to belong.
runuser -u freerad -- /usr/sbin/freeradius -XC -d "$folder" -l stdout >/dev/null || {
	echo "FreeRADIUS refuses the configuration; it says why with: freeradius -XC -d $folder" >&2
	exit 1
}
@finish@
sed -i '/^FREERADIUS_OPTIONS=/d' /etc/default/freeradius 2>/dev/null || true
echo "FREERADIUS_OPTIONS=\"-d $folder\"" >>/etc/default/freeradius

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl enable freeradius
	systemctl restart freeradius
	echo "FreeRADIUS runs with $folder"
else
	echo "FreeRADIUS is set up in $folder; start it"
fi
