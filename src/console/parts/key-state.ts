import { stateOfKey } from '../../directory/keys.ts'
import type { Html } from '../html.ts'
import { badge } from './state.ts'

/** The state of a key in a word, a service account's or a resource server's. `now` in milliseconds. */
export function drawKeyState(key: Parameters<typeof stateOfKey>[0], now: number): Html {
  const state = stateOfKey(key, now)
  switch (state) {
    case 'active':
      return badge('good', 'active')
    case 'disabled':
      return badge('off', 'disabled')
    case 'expired':
      return badge('notice', 'expired')
    case 'revoked':
      return badge('bad', 'deleted')
  }
}
