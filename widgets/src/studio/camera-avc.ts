/** The decoder configuration of H.264 (AVCDecoderConfigurationRecord, ISO/IEC 14496-15, 5.3.3.1), as it ought to be. */

const HEADER_BYTES = 5;

/**
 * Firefox 153 writes the first byte of each parameter set twice and leaves reserved bits empty: read as it stands the
 * picture would be 24 by 10236. What is right already comes back as it is.
 */
export function repaired(record: Uint8Array): Uint8Array {
  const profile = record[1];
  const sets = parameterSets(record);
  const isTwice = sets?.sps.some((unit) => unit[0] === unit[1] && unit[1] !== profile && unit[2] === profile) ?? false;
  if (!sets || !isTwice) return record;
  const { sps, pps } = sets;
  const bytes = [...record.subarray(0, 4), 0xfc | (record[4] ?? 3), 0xe0 | sps.length];
  for (const unit of sps) append(bytes, unit.subarray(1));
  bytes.push(pps.length);
  for (const unit of pps) append(bytes, unit[0] === unit[1] ? unit.subarray(1) : unit);
  return Uint8Array.from(bytes);
}

function append(bytes: number[], unit: Uint8Array): void {
  bytes.push(unit.length >> 8, unit.length & 0xff, ...unit);
}

/** Null: it does not hold what it says. */
function parameterSets(record: Uint8Array): { sps: Uint8Array[]; pps: Uint8Array[] } | null {
  let at = HEADER_BYTES;
  const read = (count: number): Uint8Array[] | null => {
    const units: Uint8Array[] = [];
    for (let index = 0; index < count; index += 1) {
      const length = ((record[at] ?? 0) << 8) | (record[at + 1] ?? 0);
      const unit = record.subarray(at + 2, at + 2 + length);
      if (length === 0 || unit.length < length) return null;
      units.push(unit);
      at += 2 + length;
    }
    return units;
  };
  const sps = read((record[at++] ?? 0) & 0x1f);
  const pps = sps && read(record[at++] ?? 0);
  return sps && pps ? { sps, pps } : null;
}
