// Finds the ends of SMTP replies in a stream of bytes and keeps only what a load client needs: the code, and the text of
// the last line for the case that something goes wrong.

struct SMTPReplyScanner {
    private var code = 0
    private var column = 0
    private var isLastLine = false
    /// The last line read, at most 200 octets of it, without line end.
    private(set) var line: [UInt8] = []

    init() { line.reserveCapacity(200) }

    /// The code of the next complete reply (RFC 5321 §4.2.1), or nil when the bytes run out first.
    mutating func next(_ bytes: UnsafeRawBufferPointer, from index: inout Int) -> Int? {
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "\n") {
                let wasLast = isLastLine || column <= 4
                let complete = code
                column = 0
                code = 0
                isLastLine = false
                if wasLast { return complete }
                continue
            }
            if column == 0 { line.removeAll(keepingCapacity: true) }
            if line.count < 200, byte != UInt8(ascii: "\r") { line.append(byte) }
            switch column {
            case 0...2: code = code * 10 + Int(byte & 0x0F)
            case 3: isLastLine = byte != UInt8(ascii: "-")
            default: break
            }
            column += 1
        }
        return nil
    }
}
