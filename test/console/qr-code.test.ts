import { expect, test } from '@jest/globals'
import { encode } from 'uqr'
import { qrCode } from '../../src/console/parts/qr-code.ts'

/** The dark modules that a path paints, as a reader would find them. */
function modulesIn(svg: string): boolean[][] {
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(svg)?.[1])
  const modules = Array.from({ length: size }, () => new Array<boolean>(size).fill(false))
  for (const [, x, y, width] of svg.matchAll(/M(\d+) (\d+)h(\d+)v1h-\3z/g)) {
    for (let step = 0; step < Number(width); step++) modules[Number(y)]![Number(x) + step] = true
  }
  return modules
}

test.each([
  'otpauth://totp/Countersign:ada%40acme.example?secret=JBSWY3DPEHPK3PXP&issuer=Countersign',
  `otpauth://totp/${'long'.repeat(60)}`,
  'ö',
])('the code of %s has the modules of its encoding, and four light ones around', (text) => {
  const modules = modulesIn(qrCode(text, 'a code').toString())
  const plain = encode(text, { ecc: 'M', border: 0 })
  expect(modules).toHaveLength(plain.size + 8)
  expect(modules.slice(4, -4).map((row) => row.slice(4, -4))).toEqual(plain.data)
  const edge = [...modules.slice(0, 4), ...modules.slice(-4)].flat()
  const sides = modules.flatMap((row) => [...row.slice(0, 4), ...row.slice(-4)])
  expect([...edge, ...sides]).not.toContain(true)
})

test('what is in a label stays in it', () => {
  expect(qrCode('x', '"><script>').toString()).not.toContain('<script>')
})
