// How people stand in requests and answers: addresses, roles, states, and links that are handed over.

import JSON
import MIME
import Model
import People
import Sealing
import Store

/// Whether somebody may sign in.
enum UserState: String, CaseIterable {
    case active
    case disabled

    init(_ user: User) { self = user.isActive ? .active : .disabled }
}

extension JSONReader {
    /// The address of a person: letters can be sent there.
    mutating func personalAddress(_ name: String) -> String? {
        guard let text = string(name) else { return nil }
        do throws(MIMEError) {
            return try EmailAddress(parsing: text).description
        } catch {
            problem("is not an email address: \(error.message)", at: name)
            return nil
        }
    }

    /// One of the names that a type has.
    mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(_ name: String) -> Choice? {
        guard let text = string(name) else { return nil }
        let choice = Choice(rawValue: text)
        if choice == nil { problem(Choice.oneOfThem, at: name) }
        return choice
    }
}

extension Query {
    mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(_ name: String) -> Choice? {
        guard let text = text(name) else { return nil }
        let choice = Choice(rawValue: text)
        if choice == nil { problem(Choice.oneOfThem, name) }
        return choice
    }
}

extension RawRepresentable<String> where Self: CaseIterable {
    fileprivate static var oneOfThem: String { "must be one of \(allCases.map(\.rawValue).joined(separator: ", "))" }
}

extension JSONWriter {
    mutating func profile(_ profile: PeopleDirectory.Profile) { object { $0.members(profile) } }

    /// Somebody as admins see them: whether there is a password, never what it is made of.
    mutating func members(_ profile: PeopleDirectory.Profile) {
        let user = profile.user
        member("id", user.id.text)
        member("email", user.email)
        member("name", user.name)
        member("role", user.role.rawValue)
        member("state", UserState(user).rawValue)
        member("has_password", user.hasPassword)
        member("second_factor", user.hasSecondFactor)
        name("memberships")
        array { writer in
            for vault in profile.vaults {
                writer.object { writer in
                    writer.member("id", vault.membership.vault.text)
                    writer.member("slug", vault.slug)
                    writer.member("name", vault.name)
                    writer.member("role", vault.membership.role.rawValue)
                    writer.member("source", vault.membership.source.rawValue)
                }
            }
        }
        member("created_at", user.createdAt)
        member("updated_at", user.updatedAt)
        member("last_sign_in_at", user.lastSignInAt)
    }

    mutating func member(_ member: Member) {
        object { writer in
            writer.member("user", member.user.id.text)
            writer.member("email", member.user.email)
            writer.member("name", member.user.name)
            writer.member("role", member.membership.role.rawValue)
            writer.member("source", member.membership.source.rawValue)
            writer.member("state", UserState(member.user).rawValue)
            writer.member("created_at", member.membership.createdAt)
            writer.member("updated_at", member.membership.updatedAt)
        }
    }

    /// A link that went by letter is in no answer: nobody but the one who reads that mailbox is to have it.
    mutating func members(_ handover: PeopleDirectory.Handover) {
        switch handover {
        case .sent: member("sent", true)
        case .answered(let link):
            let url = link.reveal()
            member("sent", false)
            member("token", url.range(after: "#token="))
            member("url", url)
        }
    }
}

extension String {
    /// What follows the first occurrence of a text.
    fileprivate func range(after text: String) -> String? {
        firstRange(of: text).map { String(self[$0.upperBound...]) }
    }
}

extension PeopleDirectory.UserChange {
    var isEmpty: Bool { name == nil && role == nil && isActive == nil }
}
