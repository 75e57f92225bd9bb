// The types that settings have.

package import JSON
package import MIME

extension Int: SettingValue {
    package static var typeName: String { "integer" }

    package init(json: JSONValue) throws(SettingProblem) {
        guard let value = json.integerValue else { throw SettingProblem("expected an integer, found \(json.kind)") }
        self = Int(value)
    }

    package init(environment: String) throws(SettingProblem) {
        guard let value = Int(environment) else { throw SettingProblem("expected an integer") }
        self = value
    }

    package var json: JSONValue { .integer(Int64(self)) }
}

extension Bool: SettingValue {
    package static var typeName: String { "boolean" }

    package init(json: JSONValue) throws(SettingProblem) {
        guard let value = json.boolValue else { throw SettingProblem("expected a boolean, found \(json.kind)") }
        self = value
    }

    package init(environment: String) throws(SettingProblem) {
        switch environment.lowercased() {
        case "true", "1", "yes", "on": self = true
        case "false", "0", "no", "off": self = false
        default: throw SettingProblem("expected true or false")
        }
    }

    package var json: JSONValue { .bool(self) }
}

extension String: SettingValue {
    package static var typeName: String { "text" }

    package init(json: JSONValue) throws(SettingProblem) {
        guard let value = json.stringValue else { throw SettingProblem("expected a string, found \(json.kind)") }
        try self.init(environment: value)
    }

    package init(environment: String) throws(SettingProblem) {
        guard !environment.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) })
        else {
            throw SettingProblem("must not hold control characters")
        }
        guard environment.utf8.count <= 1024 else { throw SettingProblem("must not be longer than 1,024 bytes") }
        self = environment
    }

    package var json: JSONValue { .string(self) }
}

extension EmailAddress: SettingValue {
    package static var typeName: String { "mail address" }

    package init(json: JSONValue) throws(SettingProblem) { try self.init(environment: String(json: json)) }

    package init(environment: String) throws(SettingProblem) {
        do throws(MIMEError) {
            try self.init(parsing: environment)
        } catch {
            throw SettingProblem("is not a mail address: \(error.message)")
        }
    }

    package var json: JSONValue { .string(description) }
}

/// What a list setting is made of: something that is written as one text.
package protocol SettingElement: Sendable {
    static var typeName: String { get }
    init(text: String) throws(SettingProblem)
    var text: String { get }
}

extension Array: SettingValue where Element: SettingElement {
    package static var typeName: String { "list of \(Element.typeName)s" }

    package init(json: JSONValue) throws(SettingProblem) {
        guard let elements = json.arrayValue else { throw SettingProblem("expected an array, found \(json.kind)") }
        self = []
        for element in elements { append(try Element(text: String(json: element))) }
    }

    package init(environment: String) throws(SettingProblem) {
        self = []
        for text in environment.commaSeparated { append(try Element(text: text)) }
    }

    package var json: JSONValue { .array(map { .string($0.text) }) }
}

extension String: SettingElement {
    package init(text: String) throws(SettingProblem) { try self.init(environment: text) }
    package var text: String { self }
}

extension DomainPattern: SettingElement {
    package static var typeName: String { "domain" }

    package init(text: String) throws(SettingProblem) {
        guard let pattern = DomainPattern(text) else {
            throw SettingProblem("\"\(text.prefix(100))\" is neither a domain nor *. and a domain")
        }
        self = pattern
    }

    package var text: String { description }
}

/// A setting that is one of a few words.
package protocol SettingChoice: SettingValue, RawRepresentable, CaseIterable where RawValue == String {}

extension SettingChoice {
    package static var typeName: String { "one of " + allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ") }

    package init(json: JSONValue) throws(SettingProblem) { try self.init(environment: String(json: json)) }

    package init(environment: String) throws(SettingProblem) {
        guard let choice = Self(rawValue: environment) else { throw SettingProblem("expected \(Self.typeName)") }
        self = choice
    }

    package var json: JSONValue { .string(rawValue) }
}

extension String {
    /// The parts between commas, without the white space around them; empty ones are none.
    var commaSeparated: [String] {
        split(separator: ",").map { part in
            String(part.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
        }.filter { !$0.isEmpty }
    }
}
