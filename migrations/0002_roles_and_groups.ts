import { type Kysely, sql } from 'kysely'

/**
 * Roles, groups and delegation, and `effective_permissions`: what an account may do, whichever way it was given.
 *
 * Forward only. Nothing here is imported from src: a migration means the same for ever.
 */
// biome-ignore lint/suspicious/noExplicitAny: a migration runs against whatever schema it finds
export async function up(db: Kysely<any>): Promise<void> {
  await createRoles(db)
  await createGroups(db)
  await sql`alter table accounts add column delegation jsonb`.execute(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function createRoles(db: Kysely<any>): Promise<void> {
  // Without an organization: built in, there for every organization.
  await sql`
    create table roles (
      id text primary key,
      organization_id text references organizations,
      name text not null,
      description text not null,
      created_at timestamptz not null,
      created_by text not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`create unique index roles_name on roles (organization_id, lower(name))`.execute(db)
  await sql`create unique index roles_built_in on roles (lower(name)) where organization_id is null`.execute(
    db,
  )
  await sql`create index roles_list on roles (organization_id, id desc)`.execute(db)

  await sql`
    create table role_permissions (
      role_id text not null references roles on delete cascade,
      resource_server_id text not null,
      permission text not null,
      primary key (role_id, resource_server_id, permission),
      foreign key (resource_server_id, permission) references permissions (resource_server_id, name) on delete cascade
    )`.execute(db)
  await sql`create index role_permissions_of on role_permissions (resource_server_id, permission)`.execute(db)

  // No cascade: a role that somebody has cannot go.
  await sql`
    create table account_roles (
      account_id text not null references accounts,
      role_id text not null references roles,
      primary key (account_id, role_id)
    )`.execute(db)
  await sql`create index account_roles_of on account_roles (role_id)`.execute(db)

  // One row for each way in which an account has a permission: without a role directly, else by that role.
  // "union all", so that a join by account looks into both tables by their keys and never reads them whole.
  await sql`
    create view effective_permissions as
      select account_id, resource_server_id, permission, null::text as role_id
      from account_permissions
      union all
      select h.account_id, p.resource_server_id, p.permission, p.role_id
      from account_roles h
      join role_permissions p on p.role_id = h.role_id`.execute(db)
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function createGroups(db: Kysely<any>): Promise<void> {
  await sql`
    create table groups (
      id text primary key,
      organization_id text not null references organizations,
      name text not null,
      description text not null,
      created_at timestamptz not null,
      created_by text not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`create unique index groups_name on groups (organization_id, lower(name))`.execute(db)
  await sql`create index groups_list on groups (organization_id, id desc)`.execute(db)

  await sql`
    create table account_groups (
      account_id text not null references accounts,
      group_id text not null references groups on delete cascade,
      access text not null check (access in ('viewer', 'manager')),
      primary key (account_id, group_id)
    )`.execute(db)
  await sql`create index account_groups_of on account_groups (group_id)`.execute(db)

  await sql`
    alter table accounts
      add column groups_administrator text check (groups_administrator in ('viewer', 'manager'))`.execute(db)
  // Nobody could give access to a group if nobody had any.
  await sql`
    update accounts a set groups_administrator = 'manager'
    from organizations o
    where o.id = a.organization_id and o.is_operator and a.slug = 'operator' and a.status <> 'deleted'`.execute(
    db,
  )
}
