/** Which rows of a list: at most `limit` of those whose ids sort below `before`, newest first. */
export type Page = { limit: number; before: string | undefined }
