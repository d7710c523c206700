import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readDiskOption, splitAtCommas } from '../../src/cli/options/disk-option.ts';

const KEYS = { to: 'FILE', format: 'FORMAT', reuse: null } as const;
const doubled = (text: string) => text.replaceAll(',', ',,');

describe('--disk DISK,key=value,flag', () => {
  test('takes the disk, its values and its flags apart', () => {
    const option = readDiskOption('disk0,to=/new/a.qcow2,reuse,format=raw', KEYS);
    expect(option.disk).toBe('disk0');
    expect(Object.fromEntries(option.values)).toEqual({ to: '/new/a.qcow2', format: 'raw' });
    expect([...option.flags]).toEqual(['reuse']);
  });

  test('any disk and file name survives when its commas are doubled', () => {
    const name = fc.string({
      unit: fc.oneof(fc.constantFrom(',', '=', '/', ' '), fc.string()),
      minLength: 1,
    });
    fc.assert(
      fc.property(name, name, fc.boolean(), (disk, file, reuse) => {
        fc.pre(disk !== '' && file !== '');
        const text = `${doubled(disk)},to=${doubled(file)}${reuse ? ',reuse' : ''}`;
        const option = readDiskOption(text, KEYS);
        expect(option.disk).toBe(disk);
        expect(option.values.get('to')).toBe(file);
        expect(option.flags.has('reuse')).toBe(reuse);
      }),
    );
  });

  test('splitting is the inverse of doubling commas and joining with single ones', () => {
    // A part that is empty or begins with a comma cannot follow a separator: QEMU reads the pair from the left, too.
    const part = fc
      .string({ unit: fc.constantFrom(',', 'a', '='), minLength: 1 })
      .filter(text => !text.startsWith(','));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1 }), parts => {
        expect(splitAtCommas(parts.map(doubled).join(','))).toEqual(parts);
      }),
    );
  });

  test.each([
    ['disk0,two=/b', '"two=/b" is not known here; there are to=FILE, format=FORMAT, reuse'],
    ['disk0,/a,b', '"/a" is not known here'],
    ['disk0,toString=1', '"toString=1" is not known here'],
    ['disk0,to', '"to" needs a value: to=FILE'],
    ['disk0,to=', '"to" needs a value: to=FILE'],
    ['disk0,to=/a,to=/b', '"to" is there twice'],
    ['disk0,reuse,reuse', '"reuse" is there twice'],
    ['disk0,reuse=on', '"reuse" takes no value'],
    ['disk0,,to=/a,', '"" is not known here'],
    [',to=/a', 'begins with the name of the disk'],
    ['', 'begins with the name of the disk'],
  ])('refuses "%s" and says why', (text, why) => {
    expect(() => readDiskOption(text, KEYS)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringContaining(why) }),
    );
  });
});
