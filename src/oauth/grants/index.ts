import type { Form } from '../../http/form.ts'
import type { GrantDecision } from '../../tokens/issue.ts'
import type { AuthenticatedClient } from '../client-authentication.ts'
import * as clientCredentials from './client-credentials.ts'
import * as jwtBearer from './jwt-bearer.ts'

/** What the grants need, together. */
export type GrantServices = jwtBearer.JwtBearerServices

/** What a grant judges: the form, and the client if it has proven who it is. */
export type GrantRequest = { form: Form; client: AuthenticatedClient | undefined }

/** A grant: its `grant_type`, and the decision whether and what a request gets. */
export type Grant = {
  grantType: string
  decide(request: GrantRequest, services: GrantServices): Promise<GrantDecision>
}

/** Every grant that the token endpoint knows; adding one is a file and a line here. */
export const GRANTS: readonly Grant[] = [jwtBearer, clientCredentials]
