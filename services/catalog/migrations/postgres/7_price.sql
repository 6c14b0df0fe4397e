-- What is cheapest in each currency. The index of the currency alone stays: its rows are in the order of creation.
create index products_price on products (price_currency, price_units, seq);
