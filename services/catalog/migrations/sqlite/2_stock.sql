alter table products add column reserved_quantity integer not null default 0;
