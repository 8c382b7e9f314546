"""VmailMgr: a virtual domain with mailboxes of its own, managed by the user whom the domain belongs to."""
