import { expect, test } from '@jest/globals'
import { networkOf } from '../src/network.ts'

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:DB8:1:2::5', '2001:db8:1:2'],
  ['2001:0db8::5', '2001:db8:0:0'],
  ['2001::7:3:4:5:6', '2001:0:0:7'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['::1', '0:0:0:0'],
  ['', ''],
])('%p is counted with the network %p', (ip, network) => {
  expect(networkOf(ip)).toBe(network)
})
