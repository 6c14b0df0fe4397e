create table products (
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
) strict;
