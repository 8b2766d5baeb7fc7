import type { Form } from '../../http/form.ts'
import type { GrantDecision } from '../../tokens/issue.ts'
import * as jwtBearer from './jwt-bearer.ts'

/** What the grants need, together. */
export type GrantServices = jwtBearer.JwtBearerServices

/** A grant: its `grant_type`, and the decision whether and what a request gets. */
export type Grant = {
  grantType: string
  decide(form: Form, services: GrantServices): Promise<GrantDecision>
}

/** Every grant that the token endpoint knows; adding one is a file and a line here. */
export const GRANTS: readonly Grant[] = [jwtBearer]
