-- What products can be listed by, with the order of creation where that is the same.
create index products_display_name on products (display_name, seq);
create index products_owner on products (owner_id, seq);
create index products_currency on products (price_currency, seq);
create index products_units on products (price_units, seq);
create index products_available on products (available_quantity, seq);
create index products_create_time on products (create_time, seq);
create index products_update_time on products (update_time, seq);

-- Which products have a tag. Kept by triggers: it follows products.tags, whoever writes that.
create table product_tags (
    tag     text collate "C" not null,
    product bigint not null,
    primary key (tag, product)
);

create function follow_tags() returns trigger language plpgsql set search_path from current as $$
begin
    if tg_op <> 'INSERT' then
        delete from product_tags
        where product = old.seq and tag in (select jsonb_array_elements_text(old.tags::jsonb));
    end if;
    if tg_op <> 'DELETE' then
        insert into product_tags (tag, product) select jsonb_array_elements_text(new.tags::jsonb), new.seq;
    end if;
    return null;
end
$$;

create trigger products_tags_insert after insert on products
    for each row when (new.tags <> '[]') execute function follow_tags();
create trigger products_tags_update after update of tags on products
    for each row when (new.tags <> old.tags) execute function follow_tags();
create trigger products_tags_delete after delete on products
    for each row when (old.tags <> '[]') execute function follow_tags();

insert into product_tags (tag, product) select jsonb_array_elements_text(tags::jsonb), seq from products;
