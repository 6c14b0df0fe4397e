create table users (
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
