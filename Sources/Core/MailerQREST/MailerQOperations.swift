// Which operations are open: all that read, unless the configuration lists others.

package struct MailerQOperations: Sendable {
    package struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
    }

    private let open: Set<MailerQOperation>

    /// What reads is open, what writes is closed.
    package init() { open = Set(MailerQOperation.all.filter { !$0.changesSomething }) }

    private init(open: Set<MailerQOperation>) { self.open = open }

    /// Reads `GET /v1/pauses, POST /v1/pauses`: these are open and nothing else. `none` closes all.
    /// - Throws: a sentence that names what is wrong with which entry.
    package static func parse(_ text: String) throws(Problem) -> MailerQOperations {
        let entries = text.split(separator: ",").map { entry in
            entry.split(whereSeparator: { $0 == " " || $0 == "\t" })
        }
        if entries.count == 1, entries[0] == ["none"] { return MailerQOperations(open: []) }
        guard !entries.isEmpty else {
            throw Problem(description: "lists nothing; write none to close every operation")
        }
        var open: Set<MailerQOperation> = []
        for words in entries { open.insert(try operation(words)) }
        return MailerQOperations(open: open)
    }

    private static func operation(_ words: [Substring]) throws(Problem) -> MailerQOperation {
        let text = words.joined(separator: " ")
        guard words.count == 2 else {
            throw Problem(description: "\"\(text.prefix(80))\" is not a method and a path, such as GET /v1/pauses")
        }
        let (method, path) = (words[0].uppercased(), String(words[1]))
        guard path != "/v1/inject" else {
            throw Problem(description: "/v1/inject stays closed: mail that went there would pass no rule of Postern")
        }
        let known = MailerQOperation.all
        if let operation = known.first(where: { $0.method.rawValue == method && $0.path == path }) { return operation }
        let methods = known.filter { $0.path == path }.map(\.method.rawValue)
        guard methods.isEmpty else {
            throw Problem(description: "\(path) takes \(methods.joined(separator: ", ")), not \(method.prefix(20))")
        }
        var paths: [String] = []
        for operation in known where paths.last != operation.path { paths.append(operation.path) }
        throw Problem(
            description:
                "\"\(path.prefix(80))\" is not an operation of MailerQ; known: \(paths.joined(separator: ", "))")
    }

    /// Every operation, and whether it is open.
    package var list: [(operation: MailerQOperation, isOpen: Bool)] {
        MailerQOperation.all.map { ($0, open.contains($0)) }
    }

    /// The open operation of exactly this method and path, both as they stood in the request: nothing is decoded or
    /// tidied up first, so that no spelling gets past the table.
    package func find(_ method: String, _ path: some StringProtocol) -> MailerQOperation? {
        open.first { $0.method.rawValue == method && $0.path.utf8.elementsEqual(path.utf8) }
    }
}
