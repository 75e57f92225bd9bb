// Reads what a provider says of somebody: the address only where it is verified, the groups as they are configured.

import JSON
import MIME
import Model
import OpenID
import Store

struct SingleSignOnClaims: Sendable {
    let configuration: SingleSignOnConfiguration

    /// Whether a token has all that we want to know, so that the userinfo endpoint need not be asked.
    var isComplete: @Sendable (JSONObject) -> Bool {
        { [configuration] claims in
            claims["email"] != nil
                && (!configuration.asksForGroups || Self.value(at: configuration.groupsClaim, in: claims) != nil
                    || Self.isElsewhere(configuration.groupsClaim, claims))
        }
    }

    func identity(_ token: IDToken) -> ProvenIdentity {
        ProvenIdentity(
            issuer: token.issuer, subject: token.subject, email: Self.email(token.claims), name: Self.name(token.claims)
        )
    }

    /// - Throws: `sign_in_refused` where the provider has groups of this person that it does not tell.
    func groups(_ token: IDToken) throws(PosternError) -> Set<String> {
        guard configuration.asksForGroups else { return [] }
        let value = Self.value(at: configuration.groupsClaim, in: token.claims)
        switch value {
        case .array(let list): return Set(list.compactMap(\.stringValue))
        case .string(let group): return [group]
        default:
            // Taken for no groups, it would cost people their roles.
            if Self.isElsewhere(configuration.groupsClaim, token.claims) {
                throw PosternError(
                    .signInRefused, "the provider does not list your groups, because they are too many",
                    fix: "Have the operator limit the groups that the provider tells Postern; see docs/sso.md.")
            }
            return []
        }
    }

    /// ASCII alone: some other letters become ASCII ones in lower case (K, the sign of the Kelvin), and whoever has such an
    /// address would be taken for somebody else.
    private static func email(_ claims: JSONObject) -> String? {
        guard let text = claims["email"]?.stringValue, text.utf8.count <= 254, text.utf8.allSatisfy({ $0 < 0x80 }),
            isVerified(claims),
            let address = try? EmailAddress(parsing: text)
        else { return nil }
        return address.description
    }

    /// The standard's claim, and that of Microsoft, which has a word of its own for it.
    private static func isVerified(_ claims: JSONObject) -> Bool {
        if let verified = claims["email_verified"] { return isTrue(verified) }
        return claims["xms_edov"].map(isTrue) ?? false
    }

    /// Some write booleans as text or as numbers.
    private static func isTrue(_ value: JSONValue) -> Bool {
        [.bool(true), .string("true"), .string("1"), .integer(1)].contains(value)
    }

    /// What pages show; never more than a line.
    private static func name(_ claims: JSONObject) -> String? {
        guard let text = claims["name"]?.stringValue else { return nil }
        let line = String(text.unicodeScalars.filter { !Self.isControl($0) }.prefix(100).map(Character.init))
        return line.allSatisfy(\.isWhitespace) ? nil : line
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: true
        default: false
        }
    }

    /// OpenID Connect Core 1.0 §5.6.2: the claim exists, and is to be had somewhere else.
    private static func isElsewhere(_ claim: String, _ claims: JSONObject) -> Bool {
        claims["_claim_names"]?.objectValue?[claim] != nil
    }

    /// `groups`, `https://example.com/groups`, or a path such as `realm_access.roles`.
    private static func value(at path: String, in claims: JSONObject) -> JSONValue? {
        if let value = claims[path] { return value }
        var value: JSONValue = .object(claims)
        for name in path.split(separator: ".", omittingEmptySubsequences: false) {
            guard let next = value.objectValue?[String(name)] else { return nil }
            value = next
        }
        return value
    }
}
