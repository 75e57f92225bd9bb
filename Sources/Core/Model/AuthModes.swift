// Which credentials the paths that take mail accept: one mode for all of them, or another one for some.

package import JSON

package enum AuthMode: String, SettingChoice {
    case apiKey = "api_key"
    case smtp
    case both
}

package struct AuthModes: Hashable, Sendable {
    /// For every path that no entry is for.
    package let standard: AuthMode
    private let byPath: [Path: AuthMode]

    package init(_ standard: AuthMode) {
        self.standard = standard
        byPath = [:]
    }

    private init(_ standard: AuthMode?, _ byPath: [Path: AuthMode]) throws(SettingProblem) {
        guard let standard else { throw SettingProblem("needs a mode for the paths that it does not name") }
        self.standard = standard
        self.byPath = byPath
    }

    /// The mode of the entry with the most segments that the path begins with, else the standard one.
    /// - Parameter path: an endpoint's, such as `/v1/send/{dialect}`, or a request's.
    package func mode(for path: String) -> AuthMode {
        guard !byPath.isEmpty else { return standard }
        var segments = path.split(separator: "/").map(String.init)
        while !segments.isEmpty {
            if let mode = byPath[Path(segments: segments)] { return mode }
            segments.removeLast()
        }
        return standard
    }

    /// Where mail is handed in; an entry is for one of them, or for what is below.
    package static let paths = [
        "/v1/send", "/v1/map", "/v1/messages", "/ses", "/sendgrid", "/mailgun", "/postmark", "/resend",
    ]
}

extension AuthModes {
    fileprivate struct Path: Hashable, Sendable {
        let segments: [String]

        init(segments: [String]) { self.segments = segments }

        init(_ text: String) throws(SettingProblem) {
            segments = text.split(separator: "/").map(String.init)
            guard text.utf8.count <= 256, "/" + segments.joined(separator: "/") == text,
                segments.allSatisfy({ $0.utf8.allSatisfy(Self.isPlain) })
            else {
                throw SettingProblem("\"\(text.prefix(100))\" is not a path such as /v1/send")
            }
            let known = AuthModes.paths.map { $0.split(separator: "/").map(String.init) }
            guard known.contains(where: { segments.starts(with: $0) }) else {
                let paths = AuthModes.paths.joined(separator: ", ")
                throw SettingProblem("\"\(text.prefix(100))\" takes no mail; the paths are \(paths), and what is below")
            }
        }

        var text: String { "/" + segments.joined(separator: "/") }

        private static func isPlain(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
                UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }

    /// More entries than there are paths make no sense.
    private static let maximumEntries = 50
}

extension AuthModes: SettingValue {
    package static var typeName: String {
        "\(AuthMode.typeName), for all paths or by path: `api_key,/v1/send=both`"
    }

    package init(json: JSONValue) throws(SettingProblem) {
        guard let object = json.objectValue else {
            guard let text = json.stringValue else {
                throw SettingProblem("expected a string or an object, found \(json.kind)")
            }
            try self.init(environment: text)
            return
        }
        var standard: AuthMode?
        var byPath: [Path: AuthMode] = [:]
        guard object.members.count <= Self.maximumEntries else { throw SettingProblem("has too many entries") }
        for member in object.members {
            let mode = try AuthMode(json: member.value)
            if member.name == "default" { standard = mode } else { byPath[try Path(member.name)] = mode }
        }
        try self.init(standard, byPath)
    }

    package init(environment: String) throws(SettingProblem) {
        var standard: AuthMode?
        var byPath: [Path: AuthMode] = [:]
        let entries = environment.commaSeparated
        guard entries.count <= Self.maximumEntries else { throw SettingProblem("has too many entries") }
        for entry in entries {
            guard let equals = entry.firstIndex(of: "=") else {
                guard standard == nil else { throw SettingProblem("has two modes without a path") }
                standard = try AuthMode(environment: entry)
                continue
            }
            let path = try Path(String(entry[..<equals]))
            guard byPath[path] == nil else { throw SettingProblem("has two modes for \(path.text)") }
            byPath[path] = try AuthMode(environment: String(entry[entry.index(after: equals)...]))
        }
        try self.init(standard, byPath)
    }

    package var json: JSONValue {
        guard !byPath.isEmpty else { return standard.json }
        var object = JSONObject(["default": standard.json])
        for (path, mode) in byPath.sorted(by: { $0.key.text < $1.key.text }) { object[path.text] = mode.json }
        return .object(object)
    }
}
