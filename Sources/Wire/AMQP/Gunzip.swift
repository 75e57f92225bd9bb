// gzip bodies (RFC 1952), unpacked up to a limit: a few kilobytes can unpack to gigabytes.

internal import CZlib

enum Gunzip {
    /// The unpacked bytes, all members; nil when broken, cut short, or larger than `limit`.
    static func unpack(_ packed: [UInt8], limit: Int) -> [UInt8]? {
        var stream = z_stream()
        // 31: the largest window, gzip header only.
        guard inflateInit2_(&stream, 31, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        var plain: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 64 * 1024)
        return packed.withUnsafeBufferPointer { input -> [UInt8]? in
            guard let base = input.baseAddress, input.count <= Int(UInt32.max) else { return nil }
            stream.next_in = UnsafeMutablePointer(mutating: base)
            stream.avail_in = UInt32(input.count)
            while true {
                let (status, count) = block.withUnsafeMutableBufferPointer { output in
                    stream.next_out = output.baseAddress
                    stream.avail_out = UInt32(output.count)
                    return (inflate(&stream, Z_NO_FLUSH), output.count - Int(stream.avail_out))
                }
                guard status == Z_OK || status == Z_STREAM_END, plain.count + count <= limit else { return nil }
                plain.append(contentsOf: block[..<count])
                if status == Z_STREAM_END {
                    if stream.avail_in == 0 { return plain }
                    guard inflateReset(&stream) == Z_OK else { return nil }
                } else if count == 0, stream.avail_in == 0 {
                    return nil
                }
            }
        }
    }
}
