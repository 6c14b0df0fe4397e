-- The newest change of the product in the change log.
alter table products add column change_revision integer not null default 0;
