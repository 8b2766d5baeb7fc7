import { type AssertionStream, streamAssertions } from './assertions.ts'
import { addFastKey, type Countersign } from './countersign.ts'
import { formRequest, tokenRequest } from './load.ts'

/** A request and what its answer must be. */
export type Piece = {
  request: Buffer
  /** Takes what an answer holds for later requests; answers what is wrong with it. */
  judge(answer: string): string | undefined
}

type Mix = { next(): Promise<Piece>; stop(): Promise<unknown> }

type Kind = 'jwt' | 'opaque'

/** Tokens of each kind that introspections ask about: the last ones, so that all of them live. */
const KEPT_TOKENS = 500

/** In turn a JWT access token, the introspection of one, an opaque token, the introspection of one; without end. */
export async function createMix(countersign: Countersign): Promise<Mix> {
  const jwt = await createTokens(countersign, 'jwt')
  const opaque = await createTokens(countersign, 'opaque')
  const turns = [jwt.ask, jwt.introspect, opaque.ask, opaque.introspect]
  let turn = 0
  return {
    next: async () => (await turns[turn++ % turns.length]?.()) as Piece,
    stop: () => Promise.all([jwt.stop(), opaque.stop()]),
  }
}

/** Token requests of one kind, and introspections of the tokens that they brought. */
export async function createTokens(countersign: Countersign, kind: Kind) {
  const assertions: AssertionStream = streamAssertions(
    await addFastKey(countersign, countersign.subjects[kind]),
  )
  const headers = { Authorization: countersign.introspectors[kind] }
  const tokens: string[] = []
  let asked = 0
  return { ask, introspect, stop: assertions.stop }

  async function ask(): Promise<Piece> {
    return {
      request: tokenRequest(await assertions.next()),
      judge(answer) {
        const token = /"access_token":"([^"]+)"/.exec(answer)?.[1]
        if (!isOk(answer) || token === undefined) return answer
        tokens[asked++ % KEPT_TOKENS] = token
        return undefined
      },
    }
  }

  /** Asks for a token as long as there is none. */
  async function introspect(): Promise<Piece> {
    const token = tokens[Math.floor(Math.random() * tokens.length)]
    if (token === undefined) return ask()
    return {
      request: formRequest('/oauth/introspect', `token=${token}`, headers),
      judge: (answer) => (isOk(answer) && answer.includes('"active":true') ? undefined : answer),
    }
  }
}

function isOk(answer: string): boolean {
  return answer.startsWith('HTTP/1.1 200 ')
}
