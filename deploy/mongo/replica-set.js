// The health check: starts the replica set the first time, then succeeds while this member accepts writes.
// Run by mongosh on the member itself; safe to repeat.
if (!db.hello().setName) {
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongodb:27017" }] });
}
quit(db.hello().isWritablePrimary ? 0 : 1);
