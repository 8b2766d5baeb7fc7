/** Ten thousand accounts in a thousand organizations, each with a key, two roles, a direct permission and two groups. */
export const LARGE_DIRECTORY = `
  insert into organizations (id, slug, name, status, settings, created_at, updated_at)
    select 'org_' || o, 'org-' || o, 'o', 'active', '{"allowApiTokens": true}', now(), now() from generate_series(0, 999) o;
  insert into accounts (id, organization_id, kind, name, slug, email, description, status, assertion_policy,
                        created_at, created_by, updated_at)
    select 'acc_' || a, 'org_' || a % 1000, 'service_account', 'a', 'a' || a, 'a' || a || '@example.test', '', 'active',
           '{}', now(), 'system', now()
    from generate_series(1, 10000) a;
  insert into resource_servers (id, identifier, name, token_format, signing_algorithm, token_lifetime_seconds,
                                created_at, updated_at)
    select 'rs_' || r, 'https://rs-' || r, 'r', 'jwt', 'ES256', 900, now(), now() from generate_series(0, 9) r;
  insert into permissions (resource_server_id, name, description)
    select 'rs_' || r, 'p' || p, '' from generate_series(0, 9) r, generate_series(0, 9) p;
  insert into account_permissions select 'acc_' || a, 'rs_' || a % 10, 'p1' from generate_series(1, 10000) a;
  insert into roles (id, organization_id, name, description, created_at, created_by, updated_at)
    select 'role_' || r, 'org_' || r % 1000, 'r' || r, '', now(), 'system', now() from generate_series(0, 1999) r;
  insert into role_permissions select 'role_' || r, 'rs_' || r % 10, 'p' || p
    from generate_series(0, 1999) r, generate_series(0, 9) p;
  insert into account_roles select 'acc_' || a, 'role_' || a % 1000 + n * 1000
    from generate_series(1, 10000) a, generate_series(0, 1) n;
  insert into groups (id, organization_id, name, description, created_at, created_by, updated_at)
    select 'grp_' || g, 'org_' || g % 1000, 'g' || g, '', now(), 'system', now() from generate_series(0, 1999) g;
  insert into account_groups select 'acc_' || a, 'grp_' || a % 1000 + n * 1000, 'viewer'
    from generate_series(1, 10000) a, generate_series(0, 1) n;
  insert into keys (id, account_id, kid, name, type, algorithm, thumbprint, public_key, status, created_at, created_by,
                    updated_at)
    select 'key_' || a, 'acc_' || a, 'key_' || a, 'k', 'public_key', 'ES256', 't' || a, '{}', 'active', now(), 'system',
           now()
    from generate_series(1, 10000) a;`
