create table users (
    -- The order of creation: never used twice, so that a page token stays good when rows go.
    seq          bigint generated always as identity primary key,
    id           text   collate "C" not null unique,
    display_name text   not null,
    email        text   not null,
    -- The address in lower case: what may not be there twice.
    email_key    text   collate "C" not null unique,
    -- Microseconds since 1970.
    create_time  bigint not null,
    update_time  bigint not null,
    -- Counts the changes; the etag is made of it.
    revision     bigint not null
);
