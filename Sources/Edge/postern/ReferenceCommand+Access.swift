// The page on who may do what, made from the gate's own table.

import Gate
import Model
import SMTPDoor

extension ReferenceCommand {
    static var accessPage: String {
        var page = """
            # Access

            One gate answers for everybody: API keys, agents, SMTP users and people. Who asks, for which action, of which
            resource, gets a yes with what has to happen beside it, or a no with a reason and a fix. What the table below does
            not allow is denied, and so is what cannot be decided because the database does not answer. Every route of the API
            (`x-postern-action` in `/openapi.json`), every verb of the SMTP door and every command (`postern access list`)
            names its action; one without does not compile.

            Another vault's things are not found (404), whatever they are and whoever asks. Refusals of somebody known stand in
            the [audit log](audit.md).

            ## Who asks

            - **An API key** belongs to one vault, and does what its scopes allow: `send`, `mailerq`, `amqp`, `read`, `admin`.
              It may be narrowed further ([keys.md](keys.md)). A key of kind `agent` is an agent's.
            - **An SMTP user** belongs to one vault and sends, by whatever route the vault chose.
            - **A person** signs in ([people.md](people.md)) and has a role at the instance: `viewer`, `member`, `admin` or
              `owner`; and a role in each vault that they are a member of: `viewer`, `operator` or `owner`. A role holds all that
              the roles before it hold. A role at the instance opens no vault: an owner of the instance can make themselves a
              member, and the audit log of the vault says so. Which vault a request is about says `X-Postern-Vault` (id or
              slug); who is a member of one vault only may leave it out.

            People send no mail: they issue themselves a key for that (seed 000 §08 "diagnostics"). The keys that an operator
            issues or renews have the scopes `send`, `amqp` and `read` at most, since `mailerq` and `admin` open what takes an
            owner; those of an owner all.

            ## Obligations

            - `audit`: the act is written into the audit log, in its own commit.
            - `limit`: rate limits are asked ([limits.md](limits.md)).
            - `approval`: the vault's rules on approval are asked.
            - `fresh_sign_in`: the person has shown within the last \(Int(Gate.freshness / 60)) minutes who they are; else
              `reauthentication_required` (`POST /auth/reauthenticate`, `postern login --again`).

            ## Actions

            "Key" names the scopes of which one suffices, "member" the least role in the vault, "any vault" the least role at
            the instance for doing it in every vault, member or not, and "instance" the least role where the instance itself is
            asked about. "Vault" is how much alive the vault has to be: `active`, `suspended` (or active), `archived` (or any
            of these).

            | action | key | SMTP user | member | any vault | instance | vault | plan feature | obligations |
            |---|---|---|---|---|---|---|---|---|

            """
        for action in Action.allCases { page += row(action) }
        page += """

            `account.*` and `session.end` are everybody's who signed in, for their own account; `session.begin` and
            `status.read` are everybody's; `machine` is for commands on the server's own machine, which read its
            configuration (`postern setup`, `recover`, `migrate`, `check`), and no door allows it.

            ## SMTP verbs

            | verb | action |
            |---|---|

            """
        for verb in SMTPDoor.Verb.allCases { page += "| `\(verb.rawValue)` | `\(verb.action.rawValue)` |\n" }
        return page + """

            The other verbs (`EHLO`, `RCPT`, `RSET`, `NOOP`, `QUIT`, `STARTTLS`) say nothing of a vault, or go on what `MAIL` was
            allowed.

            ## Asking why

            ```sh
            postern access explain --caller key_01jd3k8x5v9q2m7f --action message.send
            postern access explain --caller usr_01jd3k8x5v9q2m7f --action settings.write --resource default
            postern access list
            ```

            `GET /v1/access/explain?caller=&action=&resource=` (scope `admin`, or an owner of the vault) answers for callers of
            one's own vault; `GET /api/access/explain` (admins of the instance) for people, and for the callers of the vault
            that `resource` names. `resource` is a vault (id or slug), `instance`, `account` or `open`; the caller `anonymous` is
            somebody who showed nothing.

            """
    }

    private static func row(_ action: Action) -> String {
        let rule = action.rule
        let key: String
        switch rule.scopes {
        case nil: key = "no"
        case let scopes? where scopes.isEmpty: key = "any"
        case let scopes?: key = scopes.namesInOrder.map { "`\($0)`" }.joined(separator: ", ")
        }
        let login = rule.isOpenToLogins || rule.scopes.map { $0.isEmpty || $0.contains(.send) } ?? false
        let isInVault = rule.scopes != nil || rule.member != nil || rule.steward != nil || rule.isOpenToLogins
        let cells = [
            "`\(action.rawValue)`", key, login ? "yes" : "no", rule.member?.rawValue ?? "no",
            rule.steward?.rawValue ?? "no", rule.instance?.rawValue ?? "no", isInVault ? rule.state.rawValue : "",
            rule.feature.map { "`\($0.rawValue)`" } ?? "",
            rule.obligations.names.map { "`\($0)`" }.joined(separator: ", "),
        ]
        return "| " + cells.joined(separator: " | ") + " |\n"
    }
}
