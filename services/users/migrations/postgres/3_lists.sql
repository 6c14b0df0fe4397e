-- What users can be listed by, with the order of creation where that is the same. Texts are in the order of their code
-- points, as on SQLite.
alter table users alter column display_name type text collate "C";
create index users_display_name on users (display_name, seq);
create index users_create_time on users (create_time, seq);
create index users_update_time on users (update_time, seq);
