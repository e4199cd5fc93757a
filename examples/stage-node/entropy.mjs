// Shannon's entropy of a stream of bytes ("A Mathematical Theory of Communication", 1948).

const COMPRESSED = 7.5 // bits a byte; JPEG and PNG of photographs have 7.8 to 8
const SPARSE = 5 // uncompressed pictures of photographs have 6 to 7.5, drawings and padding less

// {bytes, bitsPerByte, looks} of a gRPC stream of {data}, which also goes through the digest.
export async function measure(stream, digest) {
  const counts = new Float64Array(256)
  let bytes = 0
  for await (const { data } of stream) {
    digest.update(data)
    bytes += data.length
    for (const byte of data) counts[byte] += 1
  }
  const bitsPerByte = counts.reduce((sum, count) => (count ? sum - (count / bytes) * Math.log2(count / bytes) : sum), 0)
  const looks = bitsPerByte >= COMPRESSED ? 'compressed or encrypted' : bitsPerByte < SPARSE ? 'sparse' : 'plain'
  return { bytes, bitsPerByte: Number(bitsPerByte.toFixed(4)), looks }
}
