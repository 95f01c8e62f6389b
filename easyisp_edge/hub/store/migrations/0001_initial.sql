-- Read by PostgreSQL as it stands; SQLite reads INTEGER for BIGINT and BLOB for BYTEA.
-- Instants are text, UTC, milliseconds: 2026-01-31T09:00:00.000Z. Money is cents of KES. `body` is JSON.

-- The key that boxes believe: one row, from the first start on. Its secret half is a file.
CREATE TABLE identity (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  public_key BYTEA NOT NULL,
  public_url TEXT
);

CREATE TABLE sites (
  site_id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('new', 'waiting', 'confirmed', 'closed')),
  epoch BIGINT NOT NULL,
  public_key BYTEA,
  former_key BYTEA,
  next_key BYTEA,
  config_version BIGINT NOT NULL,
  created_at TEXT NOT NULL,
  enrolled_at TEXT,
  confirmed_at TEXT
);

-- A code is shown once; only its digest is kept.
CREATE TABLE enrol_codes (
  code_digest BYTEA PRIMARY KEY,
  site_id TEXT NOT NULL REFERENCES sites,
  expires_at TEXT NOT NULL,
  used_at TEXT,
  used_key BYTEA
);

-- How far the lanes `down` and `ask` have come; those of the streams stand with their stream.
CREATE TABLE lanes (
  site_id TEXT NOT NULL,
  lane TEXT NOT NULL,
  counter BIGINT NOT NULL,
  seen_at TEXT NOT NULL,
  PRIMARY KEY (site_id, lane)
);

-- A row is locked while a batch of its stream is taken in. `counter` and `seen_at` are of the lane of its name.
CREATE TABLE streams (
  site_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  counter BIGINT NOT NULL,
  seen_at TEXT,
  last BIGINT NOT NULL,
  head BYTEA NOT NULL,
  received_at TEXT NOT NULL,
  PRIMARY KEY (site_id, stream)
);

-- What boxes told, line by line as it came; no body where the box could only send the digest.
CREATE TABLE events (
  site_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  seq BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  body BYTEA,
  received_at TEXT NOT NULL,
  PRIMARY KEY (site_id, stream, seq)
);

-- Lines of a box that went on from a number from which the hub knew another.
CREATE TABLE forked_events (
  site_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  seq BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  epoch BIGINT NOT NULL,
  body BYTEA,
  received_at TEXT NOT NULL,
  PRIMARY KEY (site_id, stream, seq, digest)
);

-- Numbers whose event no hub could take: a person looks at the box.
CREATE TABLE parked_events (
  site_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  seq BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  received_at TEXT NOT NULL,
  PRIMARY KEY (site_id, stream, seq)
);

-- Events that are kept, and of which this release could not make rows of the books.
CREATE TABLE projection_errors (
  site_id TEXT NOT NULL,
  stream TEXT NOT NULL,
  seq BIGINT NOT NULL,
  reason TEXT NOT NULL,
  received_at TEXT NOT NULL,
  PRIMARY KEY (site_id, stream, seq)
);

-- Counted by the hour: a flood of bad requests makes one row. What no site could be told of has an empty site_id.
CREATE TABLE alarms (
  site_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  hour TEXT NOT NULL,
  times BIGINT NOT NULL,
  first_at TEXT NOT NULL,
  last_at TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (site_id, kind, hour)
);
CREATE INDEX alarms_by_time ON alarms (last_at);

CREATE TABLE down_heads (
  site_id TEXT PRIMARY KEY,
  last BIGINT NOT NULL,
  acked BIGINT NOT NULL,
  acked_at TEXT
);

CREATE TABLE down_messages (
  site_id TEXT NOT NULL,
  n BIGINT NOT NULL,
  type TEXT NOT NULL,
  data TEXT NOT NULL,
  queued_at TEXT NOT NULL,
  PRIMARY KEY (site_id, n)
);
CREATE INDEX down_messages_passing ON down_messages (queued_at) WHERE type IN ('callback', 'receipt', 'command');

CREATE TABLE asks (
  site_id TEXT NOT NULL,
  receipt TEXT NOT NULL,
  gateway TEXT NOT NULL,
  asked_at TEXT NOT NULL,
  taken_until TEXT NOT NULL,
  answered_at TEXT,
  PRIMARY KEY (site_id, receipt, gateway)
);
CREATE INDEX asks_open ON asks (taken_until) WHERE answered_at IS NULL;
CREATE INDEX asks_of_site ON asks (site_id, asked_at);

-- Callbacks of the last minutes, so that one that is posted again is not queued again.
CREATE TABLE callbacks (
  site_id TEXT NOT NULL,
  token TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  received_at TEXT NOT NULL,
  PRIMARY KEY (site_id, token, sha256)
);
CREATE INDEX callbacks_by_time ON callbacks (received_at);

-- Look-ups M-Pesa is to post the answer of; the token is the secret part of the address for it.
CREATE TABLE status_asks (
  token TEXT PRIMARY KEY,
  site_id TEXT NOT NULL,
  receipt TEXT NOT NULL,
  gateway TEXT NOT NULL,
  asked_at TEXT NOT NULL,
  ended_at TEXT
);
CREATE INDEX status_asks_of_ask ON status_asks (site_id, receipt, gateway, asked_at);
CREATE INDEX status_asks_by_time ON status_asks (asked_at);

-- Which site was told first that a receipt is money: no other site may give something for it.
CREATE TABLE receipts_told (
  receipt TEXT PRIMARY KEY,
  site_id TEXT NOT NULL,
  told_at TEXT NOT NULL
);

CREATE TABLE configurations (
  site_id TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  packages TEXT NOT NULL,
  gateways TEXT NOT NULL,
  published_at TEXT NOT NULL
);

CREATE TABLE revocations (
  site_id TEXT NOT NULL,
  grant_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  revoked_at TEXT NOT NULL,
  PRIMARY KEY (site_id, grant_id)
);

-- The books of every site, row by row as the box last told it, beside the columns that are searched for.
CREATE TABLE package_versions (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  tenant_id TEXT,
  package_id TEXT,
  created_at TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);

CREATE TABLE customers (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  tenant_id TEXT,
  created_at TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);

CREATE TABLE purchases (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  tenant_id TEXT,
  state TEXT,
  amount_cents BIGINT,
  created_at TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);
CREATE INDEX purchases_by_time ON purchases (site_id, created_at);

CREATE TABLE payments (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  tenant_id TEXT,
  gateway_id TEXT,
  method TEXT,
  disposition TEXT,
  amount_cents BIGINT,
  mpesa_receipt_number TEXT,
  purchase_id TEXT,
  customer_id TEXT,
  created_at TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);
CREATE INDEX payments_by_time ON payments (site_id, created_at);
CREATE INDEX payments_by_receipt ON payments (mpesa_receipt_number) WHERE mpesa_receipt_number IS NOT NULL;
CREATE INDEX payments_unmatched ON payments (site_id, created_at) WHERE disposition = 'unmatched';

CREATE TABLE evidence (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  purchase_id TEXT,
  mpesa_receipt_number TEXT,
  received_at TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);

CREATE TABLE grants (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  tenant_id TEXT,
  customer_id TEXT,
  funding TEXT,
  payment_id TEXT,
  purchase_id TEXT,
  state TEXT,
  created_at TEXT,
  started_at TEXT,
  ends_at TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);
CREATE INDEX grants_by_time ON grants (site_id, created_at);
CREATE INDEX grants_of_payment ON grants (site_id, payment_id) WHERE payment_id IS NOT NULL;

-- Of grants the usage stream tells only what was used.
CREATE TABLE grant_counts (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);

CREATE TABLE vouchers (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  tenant_id TEXT,
  batch_id TEXT,
  state TEXT,
  grant_id TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);

CREATE TABLE voucher_batches (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  tenant_id TEXT,
  created_at TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);

CREATE TABLE trials (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  tenant_id TEXT,
  grant_id TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);

CREATE TABLE entries (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  at TEXT,
  amount_cents BIGINT,
  from_account TEXT,
  to_account TEXT,
  payment_id TEXT,
  grant_id TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);
CREATE INDEX entries_by_time ON entries (site_id, at);

CREATE TABLE claims (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  tenant_id TEXT,
  state TEXT,
  mpesa_receipt_number TEXT,
  grant_id TEXT,
  created_at TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);

CREATE TABLE gateway_states (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);

CREATE TABLE sessions (
  site_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  seq BIGINT NOT NULL,
  grant_id TEXT,
  started_at TEXT,
  updated_at TEXT,
  stopped_at TEXT,
  body TEXT NOT NULL,
  PRIMARY KEY (site_id, row_key)
);
CREATE INDEX sessions_of_grant ON sessions (site_id, grant_id) WHERE grant_id IS NOT NULL;
