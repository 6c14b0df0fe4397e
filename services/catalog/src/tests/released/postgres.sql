CREATE SCHEMA catalog;
CREATE TABLE catalog._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);
CREATE TABLE catalog.change_clock (
    id bigint NOT NULL,
    revision bigint NOT NULL,
    compacted bigint NOT NULL
);
CREATE TABLE catalog.changes (
    revision bigint NOT NULL,
    kind text NOT NULL,
    resource text NOT NULL,
    create_time bigint NOT NULL
);
CREATE TABLE catalog.products (
    seq bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    display_name text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL,
    price_currency text NOT NULL COLLATE pg_catalog."C",
    price_units bigint NOT NULL,
    price_nanos bigint NOT NULL,
    owner_id text NOT NULL COLLATE pg_catalog."C",
    tags text NOT NULL,
    available_quantity bigint NOT NULL,
    create_time bigint NOT NULL,
    update_time bigint NOT NULL,
    revision bigint NOT NULL,
    reserved_quantity bigint DEFAULT 0 NOT NULL,
    change_revision bigint DEFAULT 0 NOT NULL
);
ALTER TABLE catalog.products ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME catalog.products_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE catalog.requests (
    method text NOT NULL,
    id text NOT NULL,
    digest text NOT NULL,
    answer text NOT NULL,
    create_time bigint NOT NULL
);
INSERT INTO catalog._sqlx_migrations VALUES (1, 'products', '2026-11-20 12:00:00+00', true, '\x35b6fe71994d00a4863efa80b62504545f62222f3e2df0ced7baffed90e78266632f958c9b4460d821d0b200037f9594', 1);
INSERT INTO catalog._sqlx_migrations VALUES (2, 'stock', '2026-11-20 12:00:00+00', true, '\x08779d724dd1c93a74f288d74828e7f267e0cd498fef6b9c44e4f08d16ba8c62da9ee36916a1dbaf311843a14497e40b', 1);
INSERT INTO catalog._sqlx_migrations VALUES (3, 'request ids', '2026-11-20 12:00:00+00', true, '\x3433b0d96c9149b886789f49197b4e8c495413fc80fe5be9eee6084aa29825cb826aa271e4e61c7a2e0ace2846585fb1', 1);
INSERT INTO catalog._sqlx_migrations VALUES (4, 'changes of products', '2026-11-20 12:00:00+00', true, '\x94f3515cd2f2686a4b897d27494c878524203540a795c50d7f9badcc0b77a7429f80455fa19acd2a7c9c94c58d9334b9', 1);
INSERT INTO catalog._sqlx_migrations VALUES (5, 'change log', '2026-11-20 12:00:00+00', true, '\xf5816f161f07dfbec53a9abc94a3453533890ca2aaddacdc2bd04436a8b5507a5962bf87c5167c1f8380bfeee086be27', 1);
INSERT INTO catalog.change_clock VALUES (1, 3, 0);
INSERT INTO catalog.changes VALUES (1, 'created', '{"sequence":1,"id":"engine-1","display_name":"Analytical engine","description":"Computes.\n機関","price":{"currency":"GBP","units":17000,"nanos":500000000},"owner_id":"ada-1815","tags":["brass","\"large\""],"available_quantity":10,"reserved_quantity":0,"create_time":1700000000123456,"update_time":1700000000123456,"revision":1}', 4102444800000000);
INSERT INTO catalog.changes VALUES (2, 'updated', '{"sequence":1,"id":"engine-1","display_name":"Analytical engine","description":"Computes.\n機関","price":{"currency":"GBP","units":17000,"nanos":500000000},"owner_id":"ada-1815","tags":["brass","\"large\""],"available_quantity":7,"reserved_quantity":3,"create_time":1700000000123456,"update_time":1700000000123465,"revision":2}', 4102444800000000);
INSERT INTO catalog.changes VALUES (3, 'created', '{"sequence":2,"id":"plain-1","display_name":"Plain","description":"","price":{"currency":"EUR","units":1,"nanos":0},"owner_id":"ada-1815","tags":[],"available_quantity":0,"reserved_quantity":0,"create_time":1700000000123466,"update_time":1700000000123466,"revision":1}', 4102444800000000);
INSERT INTO catalog.products OVERRIDING SYSTEM VALUE VALUES (1, 'engine-1', 'Analytical engine', 'Computes.
機関', 'GBP', 17000, 500000000, 'ada-1815', '["brass","\"large\""]', 7, 1700000000123456, 1700000000123465, 2, 3, 2);
INSERT INTO catalog.products OVERRIDING SYSTEM VALUE VALUES (2, 'plain-1', 'Plain', '', 'EUR', 1, 0, 'ada-1815', '[]', 0, 1700000000123466, 1700000000123466, 1, 0, 3);
INSERT INTO catalog.requests VALUES ('ReserveStock', '0f8fad5b-d9cb-469f-a165-70867728950e', '955ca1f3ea3919a326db2602ed67e642', '{"sequence":1,"id":"engine-1","display_name":"Analytical engine","description":"Computes.\n機関","price":{"currency":"GBP","units":17000,"nanos":500000000},"owner_id":"ada-1815","tags":["brass","\"large\""],"available_quantity":7,"reserved_quantity":3,"create_time":1700000000123456,"update_time":1700000000123465,"revision":2}', 4102444800000000);
SELECT pg_catalog.setval('catalog.products_seq_seq', 2, true);
ALTER TABLE ONLY catalog._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY catalog.change_clock
    ADD CONSTRAINT change_clock_pkey PRIMARY KEY (id);
ALTER TABLE ONLY catalog.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (revision);
ALTER TABLE ONLY catalog.products
    ADD CONSTRAINT products_id_key UNIQUE (id);
ALTER TABLE ONLY catalog.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY catalog.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (method, id);
CREATE INDEX changes_create_time ON catalog.changes USING btree (create_time);
CREATE INDEX requests_create_time ON catalog.requests USING btree (create_time);
