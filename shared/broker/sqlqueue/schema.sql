-- The table that goqite works on, without its column and trigger for the time
-- of the last change: nobody reads it, and it would double the writes.
create table if not exists goqite (
  id text primary key default ('m_' || lower(hex(randomblob(16)))),
  created text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')),
  queue text not null,
  body blob not null,
  timeout text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')),
  received integer not null default 0,
  priority integer not null default 0
) strict;

-- With timeout and received, so that the messages that wait for a retry are
-- passed over without a look at the table.
create index if not exists goqite_queue_priority_created_idx
  on goqite (queue, priority desc, created, timeout, received);
