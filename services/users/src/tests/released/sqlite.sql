PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (version bigint primary key, description text not null, installed_on timestamp not null default current_timestamp, success boolean not null, checksum blob not null, execution_time bigint not null);
INSERT INTO _sqlx_migrations VALUES(1,'users','2026-11-20 12:00:00',1,X'c7f274400ce76d14a869d359043ca9a62ef6c5655fc9c23e96033df17f56535a47f0df5654d5c79607cfca9d810d3fb1',1);
INSERT INTO _sqlx_migrations VALUES(2,'request ids','2026-11-20 12:00:00',1,X'3433b0d96c9149b886789f49197b4e8c495413fc80fe5be9eee6084aa29825cb826aa271e4e61c7a2e0ace2846585fb1',1);
CREATE TABLE users (
    -- The order of creation: never used twice, so that a page token stays good when rows go.
    seq          integer primary key autoincrement,
    id           text    not null unique,
    display_name text    not null,
    email        text    not null,
    -- The address in lower case: what may not be there twice.
    email_key    text    not null unique,
    -- Microseconds since 1970.
    create_time  integer not null,
    update_time  integer not null,
    -- Counts the changes; the etag is made of it.
    revision     integer not null
) strict;
INSERT INTO users VALUES(1,'ada-1815','Ada ''Countess'' Lovelace','Ada@example.com','ada@example.com',1700000000123456,1700000000123461,2);
INSERT INTO users VALUES(2,'bob-1900','Bob','bob@example.com','bob@example.com',1700000000123463,1700000000123463,1);
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
INSERT INTO requests VALUES('CreateUser','0f8fad5b-d9cb-469f-a165-70867728950e','277dfd87ee68c7b2d42ca40365c69351','{"sequence":1,"id":"ada-1815","display_name":"Ada","email":"Ada@example.com","create_time":1700000000123456,"update_time":1700000000123456,"revision":1}',4102444800000000);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('users',2);
CREATE INDEX requests_create_time on requests (create_time);
COMMIT;
