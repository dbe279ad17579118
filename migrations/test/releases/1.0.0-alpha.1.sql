-- Rows as that version wrote them, a few of each table that holds what must not be lost.
insert into users (id, email, password_hash, role) values ('usr-{n}', 'owner{n}@acme.test', 'argon2', 'owner');
insert into developers (id, name, email, team, role) values ('dev-{n}', 'Ada', 'ada{n}@acme.test', 'engines', 'developer');
insert into workspaces (id, name, description, color) values ('ws-{n}', 'Engines {n}', '', '#336699');
insert into workspace_members (workspace_id, developer_id, role) values ('ws-{n}', 'dev-{n}', 'member');
insert into vendor_configs (vendor, source, sealed, admin_key_hint)
  values ('vendor-{n}', 'api', '{"v": 1, "kid": "a", "key": "b", "data": "c"}', 'sk-...abcd');
insert into keys (id, developer_id, vendor, workspace_id, status, project_name, budget_micros, rate_limit_rpm, expires_at,
    hint, fingerprints, vendor_ref, lineage_id, created_by, activated_at)
  values ('key-{n}', 'dev-{n}', 'openai', 'ws-{n}', 'active', 'keygate-engines-ada-{n}', 50000000, 60,
    now() + interval '90 days', 'sk-...wxyz', '{f1,f2}', '{"projectId": "proj_{n}", "keyId": "k_{n}"}', 'key-{n}',
    'owner{n}@acme.test', now());
insert into jobs (id, kind, vendor, key_id, state, input, priority, requested_by, requested_by_id, finished_at)
  values ('job-{n}', 'provision', 'openai', 'key-{n}', 'succeeded', '{"keyId": "key-{n}"}', 5, 'owner{n}@acme.test', 'usr-{n}', now());
insert into jobs (id, kind, vendor, key_id, state, input, priority, requested_by, requested_by_id)
  values ('job-{n}-open', 'revoke', 'openai', 'key-{n}', 'queued', '{"keyId": "key-{n}", "ending": "revoked"}', 1, 'owner{n}@acme.test', 'usr-{n}');
insert into saga_steps (job_id, name, position, status, made) values ('job-{n}', 'create-project', 1, 'done', '{"projectId": "proj_{n}"}');
insert into handoffs (job_id, jwe, expires_at) values ('job-{n}', 'sealed', now() + interval '15 minutes');
insert into audit_events (id, action, actor, resource_type, resource_id, details)
  values ('aud-{n}', 'key.provision', 'owner{n}@acme.test', 'key', 'key-{n}', '{"outcome": "succeeded"}');
insert into reconcile_findings (id, vendor, kind, resource_type, resource_id, resource, suggested_action, first_run_id, last_run_id)
  values ('fnd-{n}', 'openai', 'orphan', 'project', 'proj_{n}', '{}', 'remove', 1, 1);
