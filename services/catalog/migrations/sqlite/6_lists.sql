-- What products can be listed by; in each of these, rows with the same value are in the order of seq.
create index products_display_name on products (display_name);
create index products_owner on products (owner_id);
create index products_currency on products (price_currency);
create index products_units on products (price_units);
create index products_available on products (available_quantity);
create index products_create_time on products (create_time);
create index products_update_time on products (update_time);

-- Which products have a tag. Kept by triggers: it follows products.tags, whoever writes that.
create table product_tags (
    tag     text    not null,
    product integer not null,
    primary key (tag, product)
) strict, without rowid;

create trigger products_tags_insert after insert on products when new.tags <> '[]' begin
    insert into product_tags (tag, product) select value, new.seq from json_each(new.tags);
end;

create trigger products_tags_update after update of tags on products when new.tags <> old.tags begin
    delete from product_tags where product = old.seq and tag in (select value from json_each(old.tags));
    insert into product_tags (tag, product) select value, new.seq from json_each(new.tags);
end;

create trigger products_tags_delete after delete on products when old.tags <> '[]' begin
    delete from product_tags where product = old.seq and tag in (select value from json_each(old.tags));
end;

insert into product_tags (tag, product) select value, seq from products, json_each(products.tags);
