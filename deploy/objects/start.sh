#!/bin/sh
# Starts SeaweedFS as an S3 store on one machine: one account for the services, anonymous reading of the public bucket.
set -eu
umask 077
cat > /tmp/s3.json <<CONFIG
{
  "identities": [
    {
      "name": "services",
      "credentials": [{"accessKey": "$S3_ACCESS_KEY_ID", "secretKey": "$S3_SECRET_ACCESS_KEY"}],
      "actions": ["Admin", "Read", "Write", "List", "Tagging"]
    },
    {"name": "anonymous", "actions": ["Read:$S3_BUCKET"]}
  ]
}
CONFIG
# Everything is one process on loopback; only S3 is for others. 64 MB volumes keep a laptop's disk usable.
exec weed server -dir=/data -ip=127.0.0.1 -ip.bind=0.0.0.0 -master.volumeSizeLimitMB=64 -volume.max=0 \
    -s3 -s3.port=8333 -s3.config=/tmp/s3.json
