create table products (
    -- The order of creation: never used twice, so that a page token stays good when rows go.
    seq                bigint generated always as identity primary key,
    id                 text   collate "C" not null unique,
    display_name       text   collate "C" not null,
    description        text   not null,
    -- google.type.Money.
    price_currency     text   collate "C" not null,
    price_units        bigint not null,
    price_nanos        bigint not null,
    -- The last part of a user's name.
    owner_id           text   collate "C" not null,
    -- A JSON array of texts.
    tags               text   not null,
    available_quantity bigint not null,
    -- Microseconds since 1970.
    create_time        bigint not null,
    update_time        bigint not null,
    -- Counts the changes; the etag is made of it.
    revision           bigint not null
);
