-- The schema as it stands after all migrations; a test holds the two equal.

-- Instants are text, UTC, milliseconds: 2026-01-31T09:00:00.000Z. Money is cents of KES. Spans are seconds.

CREATE TABLE clock (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  at TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  since_boot REAL NOT NULL
) STRICT;

-- A package as it was sold: rows are added, never changed.
CREATE TABLE package_versions (
  version_id INTEGER PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  package_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  name TEXT NOT NULL,
  service TEXT NOT NULL CHECK (service IN ('hotspot', 'pppoe')),
  price_cents INTEGER NOT NULL CHECK (price_cents > 0),
  duration_seconds INTEGER NOT NULL CHECK (duration_seconds > 0),
  online_seconds INTEGER CHECK (online_seconds > 0),
  rate_limit TEXT NOT NULL,
  data_limit_octets INTEGER,
  devices_max INTEGER NOT NULL CHECK (devices_max > 0),
  active INTEGER NOT NULL,
  router_ids TEXT NOT NULL,
  schedule TEXT,
  language TEXT,
  created_at TEXT NOT NULL,
  UNIQUE (tenant_id, package_id, fingerprint)
) STRICT;

-- Who holds what was sold before this box came may be known by neither phone nor device, and then pays only by hand.
CREATE TABLE customers (
  customer_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  service TEXT NOT NULL CHECK (service IN ('hotspot', 'pppoe')),
  phone TEXT,
  last_mac TEXT,
  total_spent_cents INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  UNIQUE (tenant_id, service, phone)
) STRICT;
CREATE TRIGGER customers_are_known BEFORE INSERT ON customers
WHEN NEW.phone IS NULL AND NEW.last_mac IS NULL AND NEW.total_spent_cents <> 0
BEGIN SELECT RAISE(ABORT, 'whoever pays is known by phone or device'); END;
CREATE INDEX customers_on_device ON customers (last_mac);
CREATE INDEX customers_by_time ON customers (tenant_id, created_at, customer_id);
-- Whoever paid from a number nobody told is known by the device.
CREATE UNIQUE INDEX customers_by_device ON customers (tenant_id, service, last_mac) WHERE phone IS NULL;

CREATE TABLE purchases (
  purchase_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  package_version_id INTEGER NOT NULL REFERENCES package_versions,
  service TEXT NOT NULL CHECK (service IN ('hotspot', 'pppoe')),
  gateway_id TEXT NOT NULL,
  phone TEXT NOT NULL,
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  mac TEXT,
  router_id TEXT,
  language TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('offered', 'intended', 'prompted', 'unknown', 'failed', 'expired', 'paid')),
  reason TEXT,
  result_description TEXT NOT NULL DEFAULT '',
  account_reference TEXT NOT NULL UNIQUE,
  callback_token_digest BLOB NOT NULL UNIQUE,
  checkout_request_id TEXT UNIQUE,
  merchant_request_id TEXT,
  created_at TEXT NOT NULL,
  changed_at TEXT NOT NULL,
  query_at TEXT,
  queries INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX purchases_by_device ON purchases (mac, created_at);
CREATE INDEX purchases_by_phone ON purchases (phone, created_at);
CREATE INDEX purchases_to_query ON purchases (gateway_id, query_at) WHERE query_at IS NOT NULL;
CREATE INDEX purchases_open ON purchases (created_at) WHERE state IN ('offered', 'intended', 'prompted', 'unknown');
CREATE INDEX purchases_by_time ON purchases (created_at);
CREATE INDEX purchases_payable ON purchases (gateway_id, amount_cents, created_at);
CREATE INDEX purchases_not_paid ON purchases (tenant_id, state, created_at, account_reference)
WHERE state IN ('failed', 'expired');
CREATE INDEX purchases_not_paid_by_phone ON purchases (tenant_id, state, phone, created_at)
WHERE state IN ('failed', 'expired');

-- Success sticks; what was asked of the customer is never rewritten.
CREATE TRIGGER purchases_paid_sticks BEFORE UPDATE OF state ON purchases
WHEN OLD.state = 'paid' AND NEW.state <> 'paid'
BEGIN SELECT RAISE(ABORT, 'a paid purchase stays paid'); END;
CREATE TRIGGER purchases_order_stands BEFORE UPDATE ON purchases
WHEN OLD.amount_cents <> NEW.amount_cents OR OLD.package_version_id <> NEW.package_version_id
  OR OLD.phone <> NEW.phone OR OLD.gateway_id <> NEW.gateway_id OR OLD.tenant_id <> NEW.tenant_id
BEGIN SELECT RAISE(ABORT, 'what was ordered is never rewritten'); END;
CREATE TRIGGER purchases_kept BEFORE DELETE ON purchases
BEGIN SELECT RAISE(ABORT, 'purchases are kept'); END;

-- The same of attempts to pay, by the day they were made on and how they stand: pending, failed, expired or paid.
-- No list in parentheses stands here: for each of three words or more SQLite makes a table, at every change.
CREATE TABLE attempts (
  tenant_id TEXT NOT NULL,
  day TEXT NOT NULL,
  status TEXT NOT NULL,
  purchases INTEGER NOT NULL CHECK (purchases >= 0),
  PRIMARY KEY (tenant_id, day, status)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER attempts_grow AFTER INSERT ON purchases
BEGIN
  INSERT INTO attempts (tenant_id, day, status, purchases)
  VALUES (NEW.tenant_id, date(NEW.created_at, '+3 hours'),
    CASE NEW.state WHEN 'failed' THEN 'failed' WHEN 'expired' THEN 'expired' WHEN 'paid' THEN 'paid' ELSE 'pending' END, 1)
  ON CONFLICT DO UPDATE SET purchases = purchases + 1;
END;
CREATE TRIGGER attempts_move AFTER UPDATE OF state ON purchases
WHEN CASE OLD.state WHEN 'failed' THEN 'failed' WHEN 'expired' THEN 'expired' WHEN 'paid' THEN 'paid' ELSE 'pending' END
  <> CASE NEW.state WHEN 'failed' THEN 'failed' WHEN 'expired' THEN 'expired' WHEN 'paid' THEN 'paid' ELSE 'pending' END
BEGIN
  UPDATE attempts SET purchases = purchases - 1
  WHERE tenant_id = OLD.tenant_id AND day = date(OLD.created_at, '+3 hours')
    AND status = CASE OLD.state WHEN 'failed' THEN 'failed' WHEN 'expired' THEN 'expired' WHEN 'paid' THEN 'paid' ELSE 'pending' END;
  INSERT INTO attempts (tenant_id, day, status, purchases)
  VALUES (NEW.tenant_id, date(NEW.created_at, '+3 hours'),
    CASE NEW.state WHEN 'failed' THEN 'failed' WHEN 'expired' THEN 'expired' WHEN 'paid' THEN 'paid' ELSE 'pending' END, 1)
  ON CONFLICT DO UPDATE SET purchases = purchases + 1;
END;

CREATE TABLE payments (
  payment_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  gateway_id TEXT NOT NULL,
  method TEXT NOT NULL CHECK (method IN ('MPESA', 'CASH', 'BANK_TRANSFER', 'CARD', 'OTHER')),
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  disposition TEXT NOT NULL CHECK (disposition IN ('grant', 'wallet', 'unmatched', 'refunded', 'merged')),
  mpesa_receipt_number TEXT UNIQUE,
  purchase_id TEXT REFERENCES purchases,
  customer_id TEXT REFERENCES customers,
  phone TEXT,
  account TEXT NOT NULL,
  description TEXT NOT NULL,
  created_at TEXT NOT NULL,
  CHECK (disposition NOT IN ('grant', 'wallet') OR customer_id IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX payments_settle_once ON payments (purchase_id) WHERE disposition = 'grant';
CREATE INDEX payments_by_purchase ON payments (purchase_id) WHERE purchase_id IS NOT NULL;
CREATE INDEX payments_of_customer ON payments (customer_id, created_at) WHERE customer_id IS NOT NULL;
CREATE INDEX payments_unmatched ON payments (tenant_id, created_at, payment_id) WHERE disposition = 'unmatched';
CREATE INDEX payments_refunded ON payments (tenant_id, method, created_at, payment_id) WHERE disposition = 'refunded';
-- Lists pass over rows without looking at them: all that decides is in the index.
CREATE INDEX payments_by_time ON payments (tenant_id, created_at, payment_id, method, disposition);
CREATE INDEX payments_by_receipt ON payments (tenant_id, mpesa_receipt_number) WHERE mpesa_receipt_number IS NOT NULL;
CREATE INDEX payments_by_phone ON payments (tenant_id, phone, created_at) WHERE phone IS NOT NULL;
CREATE INDEX payments_by_account ON payments (tenant_id, account COLLATE NOCASE, created_at) WHERE account <> '';
-- What people take by hand is little beside M-Pesa's, and is listed, and cleared, by itself.
CREATE INDEX payments_by_hand ON payments (tenant_id, created_at, payment_id) WHERE method <> 'MPESA';
CREATE INDEX payments_credit_by_hand ON payments (tenant_id, created_at, payment_id)
WHERE method <> 'MPESA' AND disposition = 'wallet';
CREATE TRIGGER payments_stand BEFORE UPDATE ON payments
WHEN OLD.amount_cents <> NEW.amount_cents OR OLD.tenant_id <> NEW.tenant_id OR OLD.gateway_id <> NEW.gateway_id
  OR OLD.method <> NEW.method OR OLD.created_at <> NEW.created_at
  OR (OLD.mpesa_receipt_number IS NOT NULL AND OLD.mpesa_receipt_number IS NOT NEW.mpesa_receipt_number)
  OR (OLD.purchase_id IS NOT NULL AND OLD.purchase_id IS NOT NEW.purchase_id)
  OR (OLD.phone IS NOT NULL AND OLD.phone IS NOT NEW.phone)
  OR (OLD.disposition <> NEW.disposition AND OLD.disposition IN ('refunded', 'merged'))
BEGIN SELECT RAISE(ABORT, 'what was paid is never rewritten'); END;
CREATE TRIGGER payments_kept BEFORE DELETE ON payments
BEGIN SELECT RAISE(ABORT, 'payments are kept'); END;

-- How many payments came in on each of Nairobi's days and what they come to, so that nobody has to count them.
CREATE TABLE takings (
  tenant_id TEXT NOT NULL,
  method TEXT NOT NULL,
  day TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('completed', 'refunded')),
  payments INTEGER NOT NULL CHECK (payments >= 0),
  amount_cents INTEGER NOT NULL CHECK (amount_cents >= 0),
  PRIMARY KEY (tenant_id, method, day, status)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER takings_grow AFTER INSERT ON payments WHEN NEW.disposition <> 'merged'
BEGIN
  INSERT INTO takings (tenant_id, method, day, status, payments, amount_cents)
  VALUES (NEW.tenant_id, NEW.method, date(NEW.created_at, '+3 hours'),
    CASE NEW.disposition WHEN 'refunded' THEN 'refunded' ELSE 'completed' END, 1, NEW.amount_cents)
  ON CONFLICT DO UPDATE SET payments = payments + 1, amount_cents = amount_cents + excluded.amount_cents;
END;
CREATE TRIGGER takings_shrink AFTER UPDATE OF disposition ON payments
WHEN OLD.disposition NOT IN ('refunded', 'merged') AND NEW.disposition IN ('refunded', 'merged')
BEGIN
  UPDATE takings SET payments = payments - 1, amount_cents = amount_cents - OLD.amount_cents
  WHERE tenant_id = OLD.tenant_id AND method = OLD.method AND day = date(OLD.created_at, '+3 hours')
    AND status = 'completed';
  INSERT INTO takings (tenant_id, method, day, status, payments, amount_cents)
  SELECT NEW.tenant_id, NEW.method, date(NEW.created_at, '+3 hours'), 'refunded', 1, NEW.amount_cents
  WHERE NEW.disposition = 'refunded'
  ON CONFLICT DO UPDATE SET payments = payments + 1, amount_cents = amount_cents + excluded.amount_cents;
END;

-- Everything anybody said about money, as it came.
CREATE TABLE evidence (
  evidence_id INTEGER PRIMARY KEY,
  received_at TEXT NOT NULL,
  source TEXT NOT NULL,
  strong INTEGER NOT NULL,
  purchase_id TEXT REFERENCES purchases,
  mpesa_receipt_number TEXT,
  outcome TEXT NOT NULL CHECK (outcome IN ('paid', 'not_paid', 'unknown')),
  verdict TEXT NOT NULL,
  raw BLOB NOT NULL
) STRICT;
CREATE INDEX evidence_by_purchase ON evidence (purchase_id, source) WHERE purchase_id IS NOT NULL;
CREATE INDEX evidence_by_receipt ON evidence (mpesa_receipt_number, source) WHERE mpesa_receipt_number IS NOT NULL;
CREATE TRIGGER evidence_stands BEFORE UPDATE ON evidence
BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;
CREATE TRIGGER evidence_kept BEFORE DELETE ON evidence
BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;

CREATE TABLE grants (
  grant_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  customer_id TEXT NOT NULL REFERENCES customers,
  funding TEXT NOT NULL CHECK (funding IN ('payment', 'wallet', 'provisional', 'imported', 'voucher', 'trial')),
  payment_id TEXT UNIQUE REFERENCES payments,
  purchase_id TEXT UNIQUE REFERENCES purchases,
  package_version_id INTEGER NOT NULL REFERENCES package_versions,
  service TEXT NOT NULL CHECK (service IN ('hotspot', 'pppoe')),
  username TEXT NOT NULL UNIQUE,
  password TEXT NOT NULL,
  mac TEXT,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'paused', 'ended')),
  seconds_left INTEGER NOT NULL CHECK (seconds_left >= 0),
  created_at TEXT NOT NULL,
  started_at TEXT,
  ends_at TEXT,
  seconds_used INTEGER NOT NULL CHECK (seconds_used >= 0),
  octets_used INTEGER NOT NULL CHECK (octets_used >= 0),
  off_since TEXT,
  CHECK ((state = 'waiting') = (started_at IS NULL) AND (state IN ('waiting', 'paused')) = (ends_at IS NULL)),
  CHECK ((funding = 'payment') = (payment_id IS NOT NULL)),
  CHECK (off_since IS NULL OR state = 'running')
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_usable ON grants (tenant_id, created_at) WHERE state <> 'ended';
CREATE INDEX grants_by_end ON grants (ends_at) WHERE state = 'running';
CREATE INDEX grants_by_device ON grants (mac) WHERE state <> 'ended';
CREATE INDEX grants_of_customer ON grants (customer_id, created_at);
CREATE INDEX grants_over ON grants (tenant_id, created_at) WHERE state = 'ended';
CREATE INDEX grants_over_of_device ON grants (mac, created_at) WHERE state = 'ended';
CREATE TRIGGER grants_end_once BEFORE UPDATE OF state ON grants
WHEN OLD.state = 'ended' AND NEW.state <> 'ended'
BEGIN SELECT RAISE(ABORT, 'an ended grant stays ended'); END;
CREATE TRIGGER grants_kept BEFORE DELETE ON grants
BEGIN SELECT RAISE(ABORT, 'grants are kept'); END;

-- What was made to be sold on paper: all of a batch is for one package, as it was then and at its price then.
CREATE TABLE voucher_batches (
  batch_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  package_version_id INTEGER NOT NULL REFERENCES package_versions,
  count INTEGER NOT NULL CHECK (count > 0),
  expires_at TEXT,
  note TEXT NOT NULL,
  made_by TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX voucher_batches_by_time ON voucher_batches (tenant_id, created_at);
CREATE TRIGGER voucher_batches_stand BEFORE UPDATE ON voucher_batches
BEGIN SELECT RAISE(ABORT, 'a batch of vouchers is never rewritten'); END;
CREATE TRIGGER voucher_batches_kept BEFORE DELETE ON voucher_batches
BEGIN SELECT RAISE(ABORT, 'batches of vouchers are kept'); END;

CREATE TABLE vouchers (
  batch_id TEXT NOT NULL REFERENCES voucher_batches,
  number INTEGER NOT NULL CHECK (number > 0),
  tenant_id TEXT NOT NULL,
  code TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('available', 'used', 'revoked')),
  grant_id TEXT UNIQUE REFERENCES grants,
  changed_at TEXT NOT NULL,
  PRIMARY KEY (batch_id, number),
  UNIQUE (tenant_id, code),
  CHECK ((state = 'used') = (grant_id IS NOT NULL))
) STRICT, WITHOUT ROWID;
-- What was taken or revoked stays so; a code on paper is never rewritten.
CREATE TRIGGER vouchers_stand BEFORE UPDATE ON vouchers
WHEN OLD.state <> 'available' OR OLD.code <> NEW.code OR OLD.tenant_id <> NEW.tenant_id
  OR OLD.batch_id <> NEW.batch_id OR OLD.number <> NEW.number
BEGIN SELECT RAISE(ABORT, 'a voucher is taken once'); END;
CREATE TRIGGER vouchers_kept BEFORE DELETE ON vouchers
BEGIN SELECT RAISE(ABORT, 'vouchers are kept'); END;

-- What was given for free: once per device and day of Nairobi's.
CREATE TABLE trials (
  tenant_id TEXT NOT NULL,
  mac TEXT NOT NULL,
  day TEXT NOT NULL,
  grant_id TEXT NOT NULL UNIQUE REFERENCES grants,
  PRIMARY KEY (tenant_id, mac, day)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER trials_stand BEFORE UPDATE ON trials
BEGIN SELECT RAISE(ABORT, 'a trial is never rewritten'); END;
CREATE TRIGGER trials_kept BEFORE DELETE ON trials
BEGIN SELECT RAISE(ABORT, 'trials are kept'); END;

-- Where every shilling is: each row moves an amount from one account to another, so that no balance is kept
-- anywhere but as the sum of its entries. 'received' gives, the others take.
CREATE TABLE entries (
  entry_id INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  from_account TEXT NOT NULL CHECK (from_account IN ('received', 'unmatched', 'wallet', 'sold', 'refunded')),
  from_owner TEXT NOT NULL,
  to_account TEXT NOT NULL CHECK (to_account IN ('received', 'unmatched', 'wallet', 'sold', 'refunded')),
  to_owner TEXT NOT NULL,
  payment_id TEXT REFERENCES payments,
  grant_id TEXT REFERENCES grants,
  CHECK (from_account <> to_account),
  CHECK (payment_id IS NOT NULL OR grant_id IS NOT NULL)
) STRICT;
CREATE INDEX entries_of_payment ON entries (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX entries_of_grant ON entries (grant_id) WHERE grant_id IS NOT NULL;
CREATE INDEX entries_from_wallet ON entries (from_owner) WHERE from_account = 'wallet';
CREATE INDEX entries_to_wallet ON entries (to_owner) WHERE to_account = 'wallet';
CREATE TRIGGER entries_stand BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_kept BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

-- Receipts customers pasted: what is asked for, until the merchant's side knows the money or is known not to.
CREATE TABLE claims (
  claim_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  gateway_id TEXT NOT NULL,
  mpesa_receipt_number TEXT NOT NULL,
  package_version_id INTEGER REFERENCES package_versions,
  phone TEXT,
  mac TEXT,
  router_id TEXT,
  language TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('verifying', 'granted', 'given_back', 'credited', 'refused')),
  reason TEXT,
  grant_id TEXT REFERENCES grants,
  provisional_grant_id TEXT REFERENCES grants,
  customer_id TEXT REFERENCES customers,
  created_at TEXT NOT NULL,
  changed_at TEXT NOT NULL,
  look_at TEXT,
  looks INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_due ON claims (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX claims_open ON claims (mpesa_receipt_number, created_at) WHERE state = 'verifying';
CREATE INDEX claims_by_device ON claims (mac, created_at);
CREATE INDEX claims_by_time ON claims (created_at);
CREATE TRIGGER claims_kept BEFORE DELETE ON claims
BEGIN SELECT RAISE(ABORT, 'claims are kept'); END;

-- Pictures M-Pesa made for posters: the code in one stays good, so it is asked for once.
CREATE TABLE posters (
  gateway_id TEXT NOT NULL,
  reference TEXT NOT NULL,
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  png BLOB NOT NULL,
  made_at TEXT NOT NULL,
  PRIMARY KEY (gateway_id, reference, amount_cents)
) STRICT;

-- Gateways that people made; what files declare stands in the files. Secrets are sealed with a key that is no part of
-- this database. Payments and purchases keep the id of one that is gone.
CREATE TABLE gateways (
  gateway_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  type TEXT NOT NULL CHECK (type IN ('MPESA_API', 'MPESA_NO_API')),
  sub_type TEXT NOT NULL CHECK (sub_type IN ('PAYBILL', 'BUYGOODS', 'BANK')),
  name TEXT,
  shortcode TEXT NOT NULL,
  store_number TEXT,
  account_number TEXT,
  environment TEXT NOT NULL CHECK (environment IN ('sandbox', 'production')),
  consumer_key BLOB,
  consumer_secret BLOB,
  passkey BLOB,
  is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
  for_hotspot INTEGER NOT NULL CHECK (for_hotspot IN (0, 1)),
  for_pppoe INTEGER NOT NULL CHECK (for_pppoe IN (0, 1)),
  made_by TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  CHECK ((type = 'MPESA_API') = (consumer_key IS NOT NULL)),
  CHECK ((consumer_key IS NULL) = (consumer_secret IS NULL) AND (consumer_key IS NULL) = (passkey IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX gateways_of_tenant ON gateways (tenant_id, created_at);
CREATE UNIQUE INDEX gateways_default ON gateways (tenant_id) WHERE is_default = 1;
CREATE TRIGGER gateways_stand BEFORE UPDATE ON gateways
WHEN OLD.gateway_id <> NEW.gateway_id OR OLD.tenant_id <> NEW.tenant_id OR OLD.created_at <> NEW.created_at
BEGIN SELECT RAISE(ABORT, 'a gateway stays whose it is'); END;

-- What is known of a gateway beside its configuration, and how far this box has read its list of transactions.
CREATE TABLE gateway_states (
  gateway_id TEXT PRIMARY KEY,
  notice_token TEXT NOT NULL UNIQUE,
  pull_registered_at TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE gateway_sweeps (
  gateway_id TEXT PRIMARY KEY,
  swept_until TEXT,
  swept_at TEXT
) STRICT, WITHOUT ROWID;

-- What routers report as used. An Acct-Session-Id comes round again after reboots: a session is one of that id
-- that began then. A session that was never said to be over ends when it is found out, with a cause of ours.
CREATE TABLE sessions (
  session_id INTEGER PRIMARY KEY,
  router_id TEXT NOT NULL,
  acct_session_id TEXT NOT NULL,
  username TEXT NOT NULL,
  grant_id TEXT REFERENCES grants,
  mac TEXT,
  address TEXT,
  started_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  stopped_at TEXT,
  seconds INTEGER NOT NULL,
  octets_in INTEGER NOT NULL,
  octets_out INTEGER NOT NULL,
  cause TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX sessions_open ON sessions (router_id, acct_session_id, username) WHERE stopped_at IS NULL;
CREATE INDEX sessions_by_name ON sessions (router_id, acct_session_id, username, started_at);
CREATE INDEX sessions_open_by_grant ON sessions (grant_id) WHERE stopped_at IS NULL;
CREATE INDEX sessions_open_by_device ON sessions (mac) WHERE stopped_at IS NULL;
-- Of those that are over alone, so that they grow only at the end of one, and no look at the open ones walks them.
CREATE INDEX sessions_over_on_router ON sessions (router_id, started_at) WHERE stopped_at IS NOT NULL;
CREATE INDEX sessions_over_by_grant ON sessions (grant_id, started_at) WHERE stopped_at IS NOT NULL;
CREATE INDEX sessions_over_by_device ON sessions (mac, started_at) WHERE stopped_at IS NOT NULL;

-- Who works at the back office; no tenant means the whole box. Passwords are kept as argon2id hashes.
CREATE TABLE staff_users (
  user_id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE CHECK (email = lower(email)),
  name TEXT NOT NULL,
  tenant_id TEXT,
  role TEXT NOT NULL CHECK (role IN ('SUPER_ADMIN', 'ADMIN', 'STAFF', 'CUSTOMER_CARE', 'FIELD_TECH', 'VIEWER')),
  added_permissions TEXT NOT NULL,
  removed_permissions TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'SUSPENDED')),
  password_hash TEXT NOT NULL,
  created_at TEXT NOT NULL,
  changed_at TEXT NOT NULL,
  CHECK (tenant_id IS NOT NULL OR role = 'SUPER_ADMIN')
) STRICT, WITHOUT ROWID;
CREATE INDEX staff_users_by_time ON staff_users (created_at, user_id);
CREATE INDEX staff_users_of_tenant ON staff_users (tenant_id, created_at, user_id);

-- A login lasts from a password to its end; its refresh token is replaced at each turn and kept as a digest.
CREATE TABLE staff_logins (
  login_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES staff_users ON DELETE CASCADE,
  source TEXT NOT NULL,
  turn INTEGER NOT NULL CHECK (turn > 0),
  refresh_digest BLOB NOT NULL UNIQUE,
  turned_at TEXT NOT NULL,
  created_at TEXT NOT NULL,
  ends_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX staff_logins_of_user ON staff_logins (user_id, created_at);
CREATE INDEX staff_logins_by_end ON staff_logins (ends_at);

-- What programs carry in a user's name; kept as a digest.
CREATE TABLE api_tokens (
  token_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES staff_users ON DELETE CASCADE,
  name TEXT NOT NULL,
  permissions TEXT NOT NULL,
  digest BLOB NOT NULL UNIQUE,
  created_at TEXT NOT NULL,
  expires_at TEXT,
  used_at TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX api_tokens_of_user ON api_tokens (user_id, created_at);

-- The outbox, the audit trail and the history an owner can verify: numbered without gaps, each row chained
-- to the one before by its digest.
CREATE TABLE events (
  stream TEXT NOT NULL CHECK (stream IN ('money', 'usage')),
  sequence INTEGER NOT NULL CHECK (sequence > 0),
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  at TEXT NOT NULL,
  body BLOB NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (stream, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_key ON events (key);
CREATE INDEX events_of_problems ON events (sequence) WHERE type = 'problem.reported' AND stream = 'usage';
CREATE TRIGGER events_stand BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_kept BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- Since when the rows that change are told in the events, and how far the rows that stood before are told.
CREATE TABLE recording (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  since TEXT NOT NULL,
  standing TEXT,
  standing_after TEXT NOT NULL
) STRICT;

-- What this box went on with after a number from which its hub knows it otherwise: what a person is told of it once it
-- was told anew, its events then, and the rows they had changed, until a person knows which of them cannot stand.
CREATE TABLE forks (
  fork INTEGER PRIMARY KEY,
  stream TEXT NOT NULL CHECK (stream IN ('money', 'usage')),
  detail TEXT NOT NULL,
  told INTEGER NOT NULL CHECK (told IN (0, 1))
) STRICT;
CREATE INDEX forks_waiting ON forks (stream, fork) WHERE told = 0;
CREATE TABLE events_forked (
  fork INTEGER NOT NULL CHECK (fork > 0),
  stream TEXT NOT NULL CHECK (stream IN ('money', 'usage')),
  sequence INTEGER NOT NULL CHECK (sequence > 0),
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  at TEXT NOT NULL,
  body BLOB NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (fork, stream, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE rows_forked (
  fork INTEGER NOT NULL CHECK (fork > 0),
  place TEXT NOT NULL,
  key TEXT NOT NULL,
  row TEXT NOT NULL,
  told TEXT NOT NULL DEFAULT 'waiting' CHECK (told IN ('waiting', 'anew', 'refused')),
  PRIMARY KEY (fork, place, key)
) STRICT, WITHOUT ROWID;

-- Who this box is to its hub, and how the two stand; of each lane the number no request has gone beyond, and of each
-- stream how far the hub has it; events that the hub cannot take; what should not have come; receipts that were asked
-- about; and configurations by the hub.
CREATE TABLE sync_site (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  hub_url TEXT NOT NULL,
  site_id TEXT NOT NULL,
  epoch INTEGER NOT NULL CHECK (epoch > 0),
  hub_key BLOB NOT NULL CHECK (length(hub_key) = 32),
  public_key BLOB NOT NULL CHECK (length(public_key) = 32),
  callback_base TEXT NOT NULL,
  enrolled_at TEXT NOT NULL,
  key_since TEXT NOT NULL,
  phase TEXT NOT NULL CHECK (phase IN ('joining', 'in_step', 'apart')),
  down_after INTEGER NOT NULL CHECK (down_after >= 0),
  former_key BLOB CHECK (length(former_key) = 32)
) STRICT;
CREATE TABLE sync_lanes (
  lane TEXT PRIMARY KEY CHECK (lane IN ('money', 'usage', 'down', 'ask')),
  counter INTEGER NOT NULL DEFAULT 0 CHECK (counter >= 0),
  acked INTEGER NOT NULL DEFAULT 0 CHECK (acked >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_parked (
  stream TEXT NOT NULL CHECK (stream IN ('money', 'usage')),
  sequence INTEGER NOT NULL CHECK (sequence > 0),
  parked_at TEXT NOT NULL,
  PRIMARY KEY (stream, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_alarms (
  kind TEXT PRIMARY KEY,
  times INTEGER NOT NULL CHECK (times > 0),
  untold INTEGER NOT NULL CHECK (untold >= 0),
  first_at TEXT NOT NULL,
  last_at TEXT NOT NULL,
  told_at TEXT,
  detail TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_asks (
  mpesa_receipt_number TEXT PRIMARY KEY,
  gateway_id TEXT NOT NULL,
  asked_at TEXT NOT NULL,
  times INTEGER NOT NULL CHECK (times > 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE central_configs (
  version INTEGER PRIMARY KEY CHECK (version > 0),
  content TEXT NOT NULL,
  received_at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('trying', 'good', 'withdrawn', 'refused')),
  boot_id TEXT
) STRICT;

-- Which events of money are somebody's doing, and whose data it was about; no tenant where it was the box's.
CREATE TABLE acts (
  sequence INTEGER PRIMARY KEY,
  tenant_id TEXT
) STRICT;
CREATE INDEX acts_of_tenant ON acts (tenant_id, sequence);
CREATE TRIGGER acts_stand BEFORE UPDATE ON acts
BEGIN SELECT RAISE(ABORT, 'acts stand with their events'); END;
CREATE TRIGGER acts_kept BEFORE DELETE ON acts
BEGIN SELECT RAISE(ABORT, 'acts stand with their events'); END;
