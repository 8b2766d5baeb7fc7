import { type Argon2Parameters, argon2Sync } from 'node:crypto'
import { doTasks } from '../background/task.ts'

/** A little: whoever signs in sits and waits, also while every core is busy with tokens. */
const NICENESS = 5

doTasks(NICENESS, (parameters: Argon2Parameters) => argon2Sync('argon2id', parameters))
