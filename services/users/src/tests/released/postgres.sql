CREATE SCHEMA users;
CREATE TABLE users._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);
CREATE TABLE users.requests (
    method text NOT NULL,
    id text NOT NULL,
    digest text NOT NULL,
    answer text NOT NULL,
    create_time bigint NOT NULL
);
CREATE TABLE users.users (
    seq bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    display_name text NOT NULL,
    email text NOT NULL,
    email_key text NOT NULL COLLATE pg_catalog."C",
    create_time bigint NOT NULL,
    update_time bigint NOT NULL,
    revision bigint NOT NULL
);
ALTER TABLE users.users ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME users.users_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO users._sqlx_migrations VALUES (1, 'users', '2026-11-20 12:00:00+00', true, '\x98f14a73728d50a32cac43c0bd273e071cd840bc52e7d4f0e03e045663d31feae9d145a8a8920cd1ce43c934297766ab', 1);
INSERT INTO users._sqlx_migrations VALUES (2, 'request ids', '2026-11-20 12:00:00+00', true, '\x3433b0d96c9149b886789f49197b4e8c495413fc80fe5be9eee6084aa29825cb826aa271e4e61c7a2e0ace2846585fb1', 1);
INSERT INTO users.requests VALUES ('CreateUser', '0f8fad5b-d9cb-469f-a165-70867728950e', '277dfd87ee68c7b2d42ca40365c69351', '{"sequence":1,"id":"ada-1815","display_name":"Ada","email":"Ada@example.com","create_time":1700000000123456,"update_time":1700000000123456,"revision":1}', 4102444800000000);
INSERT INTO users.users OVERRIDING SYSTEM VALUE VALUES (1, 'ada-1815', 'Ada ''Countess'' Lovelace', 'Ada@example.com', 'ada@example.com', 1700000000123456, 1700000000123461, 2);
INSERT INTO users.users OVERRIDING SYSTEM VALUE VALUES (2, 'bob-1900', 'Bob', 'bob@example.com', 'bob@example.com', 1700000000123463, 1700000000123463, 1);
SELECT pg_catalog.setval('users.users_seq_seq', 2, true);
ALTER TABLE ONLY users._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY users.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (method, id);
ALTER TABLE ONLY users.users
    ADD CONSTRAINT users_email_key_key UNIQUE (email_key);
ALTER TABLE ONLY users.users
    ADD CONSTRAINT users_id_key UNIQUE (id);
ALTER TABLE ONLY users.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (seq);
CREATE INDEX requests_create_time ON users.requests USING btree (create_time);
