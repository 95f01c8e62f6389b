-- The tables of FreeRADIUS that are used here. FreeRADIUS makes the file from this where there is none.

PRAGMA journal_mode=WAL;

CREATE TABLE IF NOT EXISTS radcheck (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  username varchar(64) NOT NULL DEFAULT '',
  attribute varchar(64) NOT NULL DEFAULT '',
  op char(2) NOT NULL DEFAULT '==',
  value varchar(253) NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS check_username ON radcheck (username);

CREATE TABLE IF NOT EXISTS radreply (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  username varchar(64) NOT NULL DEFAULT '',
  attribute varchar(64) NOT NULL DEFAULT '',
  op char(2) NOT NULL DEFAULT '=',
  value varchar(253) NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS reply_username ON radreply (username);

CREATE TABLE IF NOT EXISTS radgroupcheck (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  groupname varchar(64) NOT NULL DEFAULT '',
  attribute varchar(64) NOT NULL DEFAULT '',
  op char(2) NOT NULL DEFAULT '==',
  value varchar(253) NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS check_groupname ON radgroupcheck (groupname);

CREATE TABLE IF NOT EXISTS radgroupreply (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  groupname varchar(64) NOT NULL DEFAULT '',
  attribute varchar(64) NOT NULL DEFAULT '',
  op char(2) NOT NULL DEFAULT '=',
  value varchar(253) NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS reply_groupname ON radgroupreply (groupname);

CREATE TABLE IF NOT EXISTS radusergroup (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  username varchar(64) NOT NULL DEFAULT '',
  groupname varchar(64) NOT NULL DEFAULT '',
  priority int(11) NOT NULL DEFAULT '1'
);
CREATE INDEX IF NOT EXISTS usergroup_username ON radusergroup (username);

-- Instants are Unix time.
CREATE TABLE IF NOT EXISTS radacct (
  radacctid INTEGER PRIMARY KEY AUTOINCREMENT,
  acctsessionid varchar(64) NOT NULL DEFAULT '',
  acctuniqueid varchar(32) NOT NULL DEFAULT '',
  username varchar(64) NOT NULL DEFAULT '',
  realm varchar(64) DEFAULT '',
  nasipaddress varchar(45) NOT NULL DEFAULT '',
  nasportid varchar(32) DEFAULT NULL,
  nasporttype varchar(32) DEFAULT NULL,
  acctstarttime datetime DEFAULT NULL,
  acctupdatetime datetime DEFAULT NULL,
  acctstoptime datetime DEFAULT NULL,
  acctinterval int(12) DEFAULT NULL,
  acctsessiontime int(12) DEFAULT NULL,
  acctauthentic varchar(32) DEFAULT NULL,
  connectinfo_start varchar(128) DEFAULT NULL,
  connectinfo_stop varchar(128) DEFAULT NULL,
  acctinputoctets bigint(20) DEFAULT NULL,
  acctoutputoctets bigint(20) DEFAULT NULL,
  calledstationid varchar(50) NOT NULL DEFAULT '',
  callingstationid varchar(50) NOT NULL DEFAULT '',
  acctterminatecause varchar(32) NOT NULL DEFAULT '',
  servicetype varchar(32) DEFAULT NULL,
  framedprotocol varchar(32) DEFAULT NULL,
  framedipaddress varchar(15) NOT NULL DEFAULT '',
  framedipv6address varchar(45) NOT NULL DEFAULT '',
  framedipv6prefix varchar(45) NOT NULL DEFAULT '',
  framedinterfaceid varchar(44) NOT NULL DEFAULT '',
  delegatedipv6prefix varchar(45) NOT NULL DEFAULT '',
  class varchar(64) DEFAULT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS acctuniqueid ON radacct (acctuniqueid);
CREATE INDEX IF NOT EXISTS username ON radacct (username);
CREATE INDEX IF NOT EXISTS acctstoptime ON radacct (acctstoptime);
