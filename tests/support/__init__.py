"""What tests share: data sets, servers, finished runs, contracts."""
