alter table products add column reserved_quantity bigint not null default 0;
