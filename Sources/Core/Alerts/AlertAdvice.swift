// What each condition is called in a sentence, and what to do about it.

package import Store

extension AlertCondition {
    /// What is wrong, in a few words.
    package var title: String {
        switch self {
        case .failureBacklog: "Failures wait to be looked at"
        case .brokerUnreachable: "The message broker cannot be reached"
        case .brokerBlocked: "The message broker takes nothing more"
        case .databaseUnreachable: "The database does not answer"
        case .publishStalled: "Mail that is due does not leave"
        case .runaway: "A caller runs away and was cut off"
        case .bounceRate: "Much of the mail is refused for good"
        case .refusals: "A caller asks for what it may not do"
        case .signInFailures: "Sign-ins fail in number"
        case .auditChainBroken: "The audit log was changed"
        case .diskLow: "The disk is nearly full"
        }
    }

    /// What to do.
    package var fix: String {
        switch self {
        case .failureBacklog:
            "Find what the failures have in common (GET /v1/messages?status=bounced, the codes in their events), mend it, "
                + "then send them again or take note of them: POST /v1/queues/failure/requeue or /drain, first as a dry run."
        case .brokerUnreachable:
            "See that RabbitMQ runs and can be reached from here, and that POSTERN_AMQP_URL, its credentials and its "
                + "certificate are right; postern check tries them. Mail waits in the outbox meanwhile, none is lost."
        case .brokerBlocked:
            "Free memory or disk on the RabbitMQ server, or let its consumers catch up (rabbitmqctl list_queues shows "
                + "which queue grows). Mail waits in the outbox meanwhile, none is lost."
        case .databaseUnreachable:
            "See that the database runs, that its disk is not full, and that POSTERN_DATABASE_URL is right; postern check "
                + "tries it. Submissions are refused with 503 and 452 meanwhile; what was accepted is not lost."
        case .publishStalled:
            "Look at /readyz and at the log for what the route says; an alert about the broker or the database is the cause "
                + "where there is one. A message that is stuck shows why in GET /v1/messages/{id}/events."
        case .runaway:
            "Find out why the caller repeats itself or answers itself, and stop it there; DELETE /v1/keys/{id} or "
                + "/v1/smtp-users/{id} stops it here. Where it is meant to be so often, repeat_limit and auto_reply_limit "
                + "(PATCH /v1/settings) allow more. What was cut off was refused, and nothing of it was sent."
        case .bounceRate:
            "Look at what came back (GET /v1/messages?status=bounced) and at whose mail it is: bought or old addresses, a sender "
                + "that is on a block list, a next hop that refuses everything. Stop it (DELETE /v1/keys/{id}) until it is "
                + "mended: a bad rate costs the good name of the sending addresses."
        case .refusals:
            "The audit log says who asked for what (GET /v1/audit?outcome=refused). A tool that is set up wrongly needs another "
                + "scope or another key; whoever tries doors needs none: DELETE /v1/keys/{id}, or take the person out of the vault."
        case .signInFailures:
            "Somebody guesses passwords, or a tool has an old one. The audit log has the accounts and addresses "
                + "(GET /api/audit?action=session.begin&outcome=failed). Accounts and addresses are locked for a while by "
                + "themselves; a second factor keeps a guessed password from being enough."
        case .auditChainBroken:
            "Run postern audit verify: it says which records do not fit. Compare with an export or a backup, find out who had "
                + "the database in hand, and keep a copy of it as it is. Resolve the alert when that is dealt with: it does not "
                + "close by itself."
        case .diskLow:
            "Free space, or make the disk larger; retention (PATCH /v1/settings) decides how long messages are kept. Mail is "
                + "refused with 503 and 452 meanwhile, so that none is lost."
        }
    }

    /// Where it is explained.
    package var documentation: String { "docs/alerts.md#\(rawValue)" }
}
