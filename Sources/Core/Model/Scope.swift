// What an API key may be used for.

package struct Scopes: OptionSet, Hashable, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    package static let send = Scopes(rawValue: 1)
    package static let mailerq = Scopes(rawValue: 2)
    package static let amqp = Scopes(rawValue: 4)
    package static let read = Scopes(rawValue: 8)
    package static let admin = Scopes(rawValue: 16)
    package static let all: Scopes = [.send, .mailerq, .amqp, .read, .admin]

    private static let names: [(name: String, scope: Scopes)] = [
        ("send", .send), ("mailerq", .mailerq), ("amqp", .amqp), ("read", .read), ("admin", .admin),
    ]

    package static var each: [Scopes] { names.map(\.scope) }

    package static var allNames: [String] { names.map(\.name) }

    package init?(name: String) {
        guard let entry = Self.names.first(where: { $0.name == name }) else { return nil }
        self = entry.scope
    }

    package init(stored: String) {
        self = stored.split(separator: ",").reduce(into: []) { scopes, name in
            if let scope = Scopes(name: String(name)) { scopes.insert(scope) }
        }
    }

    package var stored: String { namesInOrder.joined(separator: ",") }

    package var namesInOrder: [String] { Self.names.filter { contains($0.scope) }.map(\.name) }
}
