-- What users can be listed by; in each of these, rows with the same value are in the order of seq.
create index users_display_name on users (display_name);
create index users_create_time on users (create_time);
create index users_update_time on users (update_time);
