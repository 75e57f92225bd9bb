// What names and values of tags may be made of: providers agree on it but for a character or two.

extension String {
    /// Whether this is 1 to 256 ASCII letters, digits and characters of `others`.
    func isTagText(_ others: String) -> Bool {
        (1...256).contains(utf8.count)
            && utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: others.utf8.contains(byte)
                }
            }
    }
}
