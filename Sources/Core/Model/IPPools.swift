// A vault's sending addresses, to be found by From domain and by the pool's name.

package struct IPPools: Hashable, Sendable {
    private var byDomain: [String: [String]] = [:]
    private var byName: [String: [String]] = [:]

    package static let none = IPPools()

    private init() {}

    /// - Parameter rows: in the order of creation; a domain is in lower-case A-label form. Several of one name are one
    ///   pool with several domains.
    package init(_ rows: some Sequence<(domain: String, name: String, addresses: [String])>) {
        for row in rows {
            byDomain[row.domain, default: []].append(contentsOf: row.addresses)
            let known = byName[row.name] ?? []
            byName[row.name] = known + row.addresses.filter { !known.contains($0) }
        }
    }

    /// What a pool may be called.
    package static let nameRule = "1 to 100 characters, none of them a control character, no white space at the ends"

    package static func isName(_ text: String) -> Bool {
        (1...100).contains(text.count) && text.utf8.count <= 400
            && text.first?.isWhitespace == false && text.last?.isWhitespace == false
            && !text.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }
    }

    /// Addresses of the pool of a From domain, the preferred one first; `nil` where there is no pool.
    package func addresses(forDomain asciiDomain: String) -> [String]? { byDomain[asciiDomain] }

    /// Addresses of the pool of this name in the order of creation, each once; `nil` where there is none.
    package func addresses(named name: String) -> [String]? { byName[name] }
}
