// Where each field of an envelope came from: what `/v1/map` answers with, and what a person looks at when a mapping surprises.

package import JSON
package import Model

package enum FieldOrigin: Hashable, Sendable {
    /// A JSON pointer into the payload, or the name of a form field.
    case payload(String)
    /// A field of the finished message's header, or the SMTP envelope.
    case message(String)
    case setting(String, SettingsSnapshot.Source)
    /// An IP pool, by the setting or the payload's field that chose it.
    case pool(String)
    /// Taken from another field of the envelope.
    case field(String)
    /// Nothing gave it a value, and it needs none.
    case absent

    /// `{"from":"payload","at":"/to/0"}` and the like.
    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            switch self {
            case .payload(let place):
                writer.member("from", "payload")
                writer.member("at", place)
            case .message(let place):
                writer.member("from", "message")
                writer.member("at", place)
            case .setting(let key, let source):
                writer.member("from", "setting")
                writer.member("setting", key)
                writer.member("source", source.rawValue)
            case .pool(let choice):
                writer.member("from", "ip_pool")
                writer.member("at", choice)
            case .field(let name):
                writer.member("from", "field")
                writer.member("at", name)
            case .absent:
                writer.member("from", "absent")
            }
        }
    }
}

/// The origins of an envelope's fields, by their names in canonical form: `mime.from.address`.
package struct FieldOrigins: Sendable {
    package private(set) var fields: [(name: String, origin: FieldOrigin)] = []

    package init() {}

    package subscript(name: String) -> FieldOrigin? {
        get { fields.first { $0.name == name }?.origin }
        set {
            fields.removeAll { $0.name == name }
            if let newValue { fields.append((name, newValue)) }
        }
    }

    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            for (name, origin) in fields {
                writer.name(name)
                origin.write(to: &writer)
            }
        }
    }
}
