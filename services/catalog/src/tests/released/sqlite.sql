PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (version bigint primary key, description text not null, installed_on timestamp not null default current_timestamp, success boolean not null, checksum blob not null, execution_time bigint not null);
INSERT INTO _sqlx_migrations VALUES(1,'products','2026-11-20 12:00:00',1,X'd4e48360017d0429e3426e6dcf4fd3575d4f6457d53fc3028110b21baf34d6340e020cc77fa1696b0308ebe43de68e00',1);
INSERT INTO _sqlx_migrations VALUES(2,'stock','2026-11-20 12:00:00',1,X'cb25a2d661df96eadf2ebbca314b74c803d83f590868724cd21dac717dc009cb90e9b0b5ef00747c0fa980197aa67713',1);
INSERT INTO _sqlx_migrations VALUES(3,'request ids','2026-11-20 12:00:00',1,X'3433b0d96c9149b886789f49197b4e8c495413fc80fe5be9eee6084aa29825cb826aa271e4e61c7a2e0ace2846585fb1',1);
INSERT INTO _sqlx_migrations VALUES(4,'changes of products','2026-11-20 12:00:00',1,X'6593511d413b9413150aec0c2a5972c9ff751ad644462af6ff84975179d201f103ba37e024a72dc4eb9d254872ec12b6',1);
INSERT INTO _sqlx_migrations VALUES(5,'change log','2026-11-20 12:00:00',1,X'f5816f161f07dfbec53a9abc94a3453533890ca2aaddacdc2bd04436a8b5507a5962bf87c5167c1f8380bfeee086be27',1);
CREATE TABLE products (
    -- The order of creation: never used twice, so that a page token stays good when rows go.
    seq                integer primary key autoincrement,
    id                 text    not null unique,
    display_name       text    not null,
    description        text    not null,
    -- google.type.Money.
    price_currency     text    not null,
    price_units        integer not null,
    price_nanos        integer not null,
    -- The last part of a user's name.
    owner_id           text    not null,
    -- A JSON array of texts.
    tags               text    not null,
    available_quantity integer not null,
    -- Microseconds since 1970.
    create_time        integer not null,
    update_time        integer not null,
    -- Counts the changes; the etag is made of it.
    revision           integer not null
, reserved_quantity integer not null default 0, change_revision integer not null default 0) strict;
INSERT INTO products VALUES(1,'engine-1','Analytical engine',replace('Computes.\n機関','\n',char(10)),'GBP',17000,500000000,'ada-1815','["brass","\"large\""]',7,1700000000123456,1700000000123465,2,3,2);
INSERT INTO products VALUES(2,'plain-1','Plain','','EUR',1,0,'ada-1815','[]',0,1700000000123466,1700000000123466,1,0,3);
CREATE TABLE requests (
    method      text   not null,
    -- A UUID.
    id          text   not null,
    -- Of the request, so that its id does not serve another one.
    digest      text   not null,
    -- JSON; empty only within the transaction that answers.
    answer      text   not null,
    -- Microseconds since 1970.
    create_time bigint not null,
    primary key (method, id)
);
INSERT INTO requests VALUES('ReserveStock','0f8fad5b-d9cb-469f-a165-70867728950e','955ca1f3ea3919a326db2602ed67e642','{"sequence":1,"id":"engine-1","display_name":"Analytical engine","description":"Computes.\n機関","price":{"currency":"GBP","units":17000,"nanos":500000000},"owner_id":"ada-1815","tags":["brass","\"large\""],"available_quantity":7,"reserved_quantity":3,"create_time":1700000000123456,"update_time":1700000000123465,"revision":2}',4102444800000000);
CREATE TABLE changes (
    revision    bigint not null primary key,
    -- created, updated or deleted.
    kind        text   not null,
    -- JSON: the resource after the change, or before its deletion.
    resource    text   not null,
    -- Microseconds since 1970.
    create_time bigint not null
);
INSERT INTO changes VALUES(1,'created','{"sequence":1,"id":"engine-1","display_name":"Analytical engine","description":"Computes.\n機関","price":{"currency":"GBP","units":17000,"nanos":500000000},"owner_id":"ada-1815","tags":["brass","\"large\""],"available_quantity":10,"reserved_quantity":0,"create_time":1700000000123456,"update_time":1700000000123456,"revision":1}',4102444800000000);
INSERT INTO changes VALUES(2,'updated','{"sequence":1,"id":"engine-1","display_name":"Analytical engine","description":"Computes.\n機関","price":{"currency":"GBP","units":17000,"nanos":500000000},"owner_id":"ada-1815","tags":["brass","\"large\""],"available_quantity":7,"reserved_quantity":3,"create_time":1700000000123456,"update_time":1700000000123465,"revision":2}',4102444800000000);
INSERT INTO changes VALUES(3,'created','{"sequence":2,"id":"plain-1","display_name":"Plain","description":"","price":{"currency":"EUR","units":1,"nanos":0},"owner_id":"ada-1815","tags":[],"available_quantity":0,"reserved_quantity":0,"create_time":1700000000123466,"update_time":1700000000123466,"revision":1}',4102444800000000);
CREATE TABLE change_clock (
    id        bigint not null primary key,
    revision  bigint not null,
    compacted bigint not null
);
INSERT INTO change_clock VALUES(1,3,0);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('products',2);
CREATE INDEX requests_create_time on requests (create_time);
CREATE INDEX changes_create_time on changes (create_time);
COMMIT;
