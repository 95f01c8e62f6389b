BEGIN TRANSACTION;
CREATE TABLE clock (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  at TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  since_boot REAL NOT NULL
) STRICT;
INSERT INTO "clock" VALUES(1,'2026-11-21T06:00:00.000Z','boot-1',100.0);
CREATE TABLE customers (
  customer_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  service TEXT NOT NULL CHECK (service IN ('hotspot', 'pppoe')),
  phone TEXT NOT NULL,
  last_mac TEXT,
  total_spent_cents INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  UNIQUE (tenant_id, service, phone)
) STRICT;
INSERT INTO "customers" VALUES('38b4e652e44da7f2370d9e260e271365','default','hotspot','254712345678','AA:BB:CC:00:00:01',1000,'2026-11-21T06:00:00.000Z');
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
INSERT INTO "events" VALUES('money',1,'payment.booked','50a4a3a6d07f5c0c332f8b1224083fd2','2026-11-21T06:00:00.000Z',X'7B226174223A22323032362D31312D32315430363A30303A30305A222C22636C6B223A2273796E636564222C2264617461223A7B226163636F756E74223A2252454641414141414141222C22616D6F756E7443656E7473223A313030302C22646973706F736974696F6E223A226772616E74222C2267617465776179223A2270617962696C6C222C2270686F6E65223A22323534373132333435363738222C227075726368617365223A226161616161616161616161616161616161616161616161616161616161616161222C2272656365697074223A22534B4C34314132423343222C2274656E616E74223A2264656661756C74227D2C226B6579223A223530613461336136643037663563306333333266386231323234303833666432222C2270726576223A2230303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030222C22736571223A312C2273747265616D223A226D6F6E6579222C227376223A312C2274797065223A227061796D656E742E626F6F6B6564222C2276223A317D',X'39AE9F8AF90772CA232634BAFA117C8C84C7906C56130F043A1CC82C13508135');
INSERT INTO "events" VALUES('money',2,'grant.made','2b902f8911e81818f8c99d5d5d983195','2026-11-21T06:00:00.000Z',X'7B226174223A22323032362D31312D32315430363A30303A30305A222C22636C6B223A2273796E636564222C2264617461223A7B22637573746F6D6572223A223338623465363532653434646137663233373064396532363065323731333635222C226D6163223A2241413A42423A43433A30303A30303A3031222C227061636B61676556657273696F6E223A312C227061796D656E74223A223530613461336136643037663563306333333266386231323234303833666432222C227365636F6E6473223A333630307D2C226B6579223A223262393032663839313165383138313866386339396435643564393833313935222C2270726576223A2233396165396638616639303737326361323332363334626166613131376338633834633739303663353631333066303433613163633832633133353038313335222C22736571223A322C2273747265616D223A226D6F6E6579222C227376223A312C2274797065223A226772616E742E6D616465222C2276223A317D',X'FBFC40CF53C49908986022D97FDCA3C777CEE59088E20D5A8276B1FA0D91B777');
CREATE TABLE evidence (
  evidence_id INTEGER PRIMARY KEY,
  received_at TEXT NOT NULL,
  source TEXT NOT NULL,
  strong INTEGER NOT NULL,
  purchase_id TEXT NOT NULL REFERENCES purchases,
  outcome TEXT NOT NULL CHECK (outcome IN ('paid', 'not_paid', 'unknown')),
  verdict TEXT NOT NULL,
  raw BLOB NOT NULL
) STRICT;
INSERT INTO "evidence" VALUES(1,'2026-11-21T06:00:00.000Z','stk_callback',1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','paid','settled',X'7B22426F6479223A207B2273746B43616C6C6261636B223A207B22526573756C74436F6465223A20307D7D7D');
CREATE TABLE grants (
  grant_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  customer_id TEXT NOT NULL REFERENCES customers,
  payment_id TEXT NOT NULL UNIQUE REFERENCES payments,
  package_version_id INTEGER NOT NULL REFERENCES package_versions,
  service TEXT NOT NULL CHECK (service IN ('hotspot', 'pppoe')),
  username TEXT NOT NULL UNIQUE,
  password TEXT NOT NULL,
  mac TEXT,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'ended')),
  seconds_left INTEGER NOT NULL CHECK (seconds_left >= 0),
  created_at TEXT NOT NULL,
  started_at TEXT,
  ends_at TEXT,
  CHECK ((state = 'waiting') = (started_at IS NULL) AND (started_at IS NULL) = (ends_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "grants" VALUES('2b902f8911e81818f8c99d5d5d983195','default','38b4e652e44da7f2370d9e260e271365','50a4a3a6d07f5c0c332f8b1224083fd2',1,'hotspot','X69GY5JRQB','TXT8P5B2F2R2F5Q7TFKS','AA:BB:CC:00:00:01','waiting',3600,'2026-11-21T06:00:00.000Z',NULL,NULL);
CREATE TABLE package_versions (
  version_id INTEGER PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  package_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  name TEXT NOT NULL,
  service TEXT NOT NULL CHECK (service IN ('hotspot', 'pppoe')),
  price_cents INTEGER NOT NULL CHECK (price_cents > 0),
  duration_seconds INTEGER NOT NULL CHECK (duration_seconds > 0),
  upload_kbps INTEGER NOT NULL,
  download_kbps INTEGER NOT NULL,
  data_limit_octets INTEGER,
  devices_max INTEGER NOT NULL CHECK (devices_max > 0),
  active INTEGER NOT NULL,
  router_ids TEXT NOT NULL,
  created_at TEXT NOT NULL,
  UNIQUE (tenant_id, package_id, fingerprint)
) STRICT;
INSERT INTO "package_versions" VALUES(1,'default','1h','d4f9cc977d4910caf56e55206853d9f0b0847dbb5a819128d57e6a297a7bc1cb','1 hour','hotspot',1000,3600,2000,5000,NULL,1,1,'[]','2026-11-21T06:00:00.000Z');
CREATE TABLE payments (
  payment_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  gateway_id TEXT NOT NULL,
  method TEXT NOT NULL CHECK (method IN ('MPESA', 'CASH', 'BANK_TRANSFER', 'CARD', 'OTHER')),
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  disposition TEXT NOT NULL CHECK (disposition IN ('grant', 'unmatched')),
  mpesa_receipt_number TEXT UNIQUE,
  purchase_id TEXT REFERENCES purchases,
  customer_id TEXT REFERENCES customers,
  phone TEXT,
  account TEXT NOT NULL,
  description TEXT NOT NULL,
  created_at TEXT NOT NULL,
  CHECK (disposition <> 'grant' OR (purchase_id IS NOT NULL AND customer_id IS NOT NULL))
) STRICT;
INSERT INTO "payments" VALUES('50a4a3a6d07f5c0c332f8b1224083fd2','default','paybill','MPESA',1000,'grant','SKL41A2B3C','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','38b4e652e44da7f2370d9e260e271365','254712345678','REFAAAAAAA','1 hour','2026-11-21T06:00:00.000Z');
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
  state TEXT NOT NULL CHECK (state IN ('intended', 'prompted', 'unknown', 'failed', 'expired', 'paid')),
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
INSERT INTO "purchases" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','default',1,'hotspot','paybill','254712345678',1000,'AA:BB:CC:00:00:01','main','en','paid',NULL,'','REFAAAAAAA',X'CD93782B7FB95559DE14F738B65988AF85D41DC1565F7C7D1ED2D035665B519C','ws_CO_1','29115-1','2026-11-21T06:00:00.000Z','2026-11-21T06:00:00.000Z',NULL,0);
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
INSERT INTO "sessions" VALUES(1,'main','80000001','USERAAAAAA',NULL,'AA:BB:CC:00:00:01','10.5.50.11','2026-11-21T06:00:00.000Z','2026-11-21T06:00:00.000Z',NULL,0,0,0,'');
CREATE INDEX purchases_by_device ON purchases (mac, created_at);
CREATE INDEX purchases_by_phone ON purchases (phone, created_at);
CREATE INDEX purchases_to_query ON purchases (gateway_id, query_at) WHERE query_at IS NOT NULL;
CREATE INDEX purchases_open ON purchases (created_at) WHERE state IN ('intended', 'prompted', 'unknown');
CREATE TRIGGER purchases_paid_sticks BEFORE UPDATE OF state ON purchases
WHEN OLD.state = 'paid' AND NEW.state <> 'paid'
BEGIN SELECT RAISE(ABORT, 'a paid purchase stays paid'); END;
CREATE TRIGGER purchases_order_stands BEFORE UPDATE ON purchases
WHEN OLD.amount_cents <> NEW.amount_cents OR OLD.package_version_id <> NEW.package_version_id
  OR OLD.phone <> NEW.phone OR OLD.gateway_id <> NEW.gateway_id OR OLD.tenant_id <> NEW.tenant_id
BEGIN SELECT RAISE(ABORT, 'what was ordered is never rewritten'); END;
CREATE TRIGGER purchases_kept BEFORE DELETE ON purchases
BEGIN SELECT RAISE(ABORT, 'purchases are kept'); END;
CREATE UNIQUE INDEX payments_settle_once ON payments (purchase_id) WHERE disposition = 'grant';
CREATE INDEX payments_unmatched ON payments (purchase_id) WHERE disposition = 'unmatched';
CREATE INDEX payments_by_time ON payments (tenant_id, created_at);
CREATE TRIGGER payments_stand BEFORE UPDATE ON payments
WHEN OLD.amount_cents <> NEW.amount_cents OR OLD.tenant_id <> NEW.tenant_id OR OLD.gateway_id <> NEW.gateway_id
  OR OLD.method <> NEW.method OR OLD.created_at <> NEW.created_at
  OR (OLD.mpesa_receipt_number IS NOT NULL AND OLD.mpesa_receipt_number IS NOT NEW.mpesa_receipt_number)
BEGIN SELECT RAISE(ABORT, 'what was paid is never rewritten'); END;
CREATE TRIGGER payments_kept BEFORE DELETE ON payments
BEGIN SELECT RAISE(ABORT, 'payments are kept'); END;
CREATE INDEX evidence_by_purchase ON evidence (purchase_id, source);
CREATE TRIGGER evidence_stands BEFORE UPDATE ON evidence
BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;
CREATE TRIGGER evidence_kept BEFORE DELETE ON evidence
BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;
CREATE INDEX grants_usable ON grants (tenant_id, created_at) WHERE state <> 'ended';
CREATE INDEX grants_by_end ON grants (ends_at) WHERE state = 'running';
CREATE INDEX grants_by_device ON grants (mac) WHERE state <> 'ended';
CREATE TRIGGER grants_end_once BEFORE UPDATE OF state ON grants
WHEN OLD.state = 'ended' AND NEW.state <> 'ended'
BEGIN SELECT RAISE(ABORT, 'an ended grant stays ended'); END;
CREATE TRIGGER grants_kept BEFORE DELETE ON grants
BEGIN SELECT RAISE(ABORT, 'grants are kept'); END;
CREATE UNIQUE INDEX sessions_open ON sessions (router_id, acct_session_id, username) WHERE stopped_at IS NULL;
CREATE INDEX sessions_stopped ON sessions (router_id, acct_session_id, username, stopped_at) WHERE stopped_at IS NOT NULL;
CREATE INDEX sessions_by_grant ON sessions (grant_id) WHERE grant_id IS NOT NULL;
CREATE INDEX events_by_key ON events (key);
CREATE TRIGGER events_stand BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_kept BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
COMMIT;
